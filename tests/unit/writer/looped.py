"""The loop between stubs: a test says what Kafka and the threads tell it, and sees what it does about that.

What Kafka really does is shown on a real one, in tests/stack and tests/faults.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from replicator import config
from replicator.fetch.fetcher import Fetched, Fetcher, Notice
from replicator.segment.name import Chain
from replicator.segment.splice import Columns
from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import Assigned, Membership, Resolved, Resolver
from replicator.writer.assignment.offsets import Offsets
from replicator.writer.assignment.resume import Start
from replicator.writer.delivery.outbox import Outbox
from replicator.writer.delivery.segments import Delivery
from replicator.writer.destination import Fingerprint
from replicator.writer.loop import Sink
from replicator.writer.partition.effects import Block, Posting, SealedSegment
from replicator.writer.partition.state_machine import PartitionWriter
from replicator.writer.partition.urgency import Urgencies
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Supervisor
from replicator.writer.schemas.book import Refusal

TOPIC_ID = "x" * 22
PLACE = TopicPartition("t", 0)
Script = Iterator[None]


class Loop:
    """A sink with stubs for its consumer, its fetcher, its resolver and its delivery; it is all of them."""

    def __init__(self, *, drain_deadline_s: float = 5.0) -> None:
        settings = config.Sink(drain_deadline_s=drain_deadline_s)
        self.health = Health()
        metrics = SinkMetrics()
        self.offsets = Offsets(Fingerprint("aaaaaaaaaaaa", "s3://ours"), metrics, self.health)
        self.offsets.attach(cast(Consumer, self))
        self.sink = Sink(
            settings,
            Urgencies(settings, "i"),
            cast(Consumer, self),
            cast(Fetcher, self),
            self.offsets,
            self.health,
            metrics,
            Supervisor(),
        )
        self.sink.connect(cast(Delivery, self), cast(Resolver, self), cast(Outbox, self))
        self.refusals: dict[str, Refusal] = {}
        self.destination = "primary"
        self.letters: list[tuple[PartitionWriter, Posting]] = []
        self.incoming: list[Fetched | Notice] = []
        self.reading: list[int] = []
        """Where the partition was begun to be read, and -1 for each end."""
        self.uploads: list[tuple[PartitionWriter, SealedSegment]] = []
        self.resolving: list[Assigned] = []
        self.memberships: list[bool] = []
        """What the group answers about this member, one by one."""
        self.subscribed: list[list[str]] = []
        self.commits: list[list[int]] = []
        self.answers: list[tuple[KafkaError | None, list[TopicPartition]]] = []
        self.refusing: int | None = None
        """How Kafka refuses commits."""

    def run(self, script: Script) -> None:
        """Goes round once for each step of the script, and ends with it."""

        def finished() -> bool:
            try:
                next(script)
            except StopIteration:
                return True
            return False

        self.sink.run("^t$", finished)

    @property
    def assigned(self) -> Assigned:
        return self.sink.partitions["t", 0]

    def begun(self, position: int = 0) -> Script:
        """The partition is assigned, and begins."""
        self.on_assign(self, [PLACE])
        yield from self.resolved(position)

    def resolved(self, position: int) -> Script:
        start = Start(Chain("t", TOPIC_ID, 0), position, position)
        self.sink.post(Resolved(self.resolving.pop(), start))
        yield

    def notice(self, code: int, offset: int) -> Script:
        self.incoming = [Notice("t", 0, offset, code, "", "")]
        yield

    def record(self, offset: int) -> Script:
        self.incoming = [Fetched("t", 0, Columns([offset], [1], [None], [b"\0\0\0\0\1x"], [None]))]
        yield

    @staticmethod
    def until(what: str, condition: Callable[[], Any], deadline_s: float = 5.0) -> Script:
        deadline = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < deadline, f"no {what} after {deadline_s} s"
            yield

    # -- the consumer --------------------------------------------------------------------------------------

    def subscribe(self, topics: list[str], on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        self.subscribed.append(topics)
        self.on_assign, self.on_revoke, self.on_lost = on_assign, on_revoke, on_lost

    def consume(self, *_: Any) -> list[Message]:
        while self.answers:
            self.offsets.answered(*self.answers.pop())
        return []

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        self.commits.append([each.offset for each in offsets])
        answer = [TopicPartition(each.topic, each.partition, each.offset) for each in offsets]
        if self.refusing is not None:
            if not asynchronous:
                raise KafkaException(KafkaError(self.refusing))
            self.answers.append((KafkaError(self.refusing), answer))
        elif asynchronous:
            self.answers.append((None, answer))
        return answer

    def close(self) -> None:
        leaving = [TopicPartition(*place) for place in self.sink.partitions]
        if leaving:
            self.on_revoke(self, leaving)

    def incremental_assign(self, _: list[TopicPartition]) -> None: ...
    def pause(self, _: list[TopicPartition]) -> None: ...

    # -- the fetcher ---------------------------------------------------------------------------------------

    @contextmanager
    def take(self, *_: Any) -> Iterator[list[Fetched | Notice]]:
        taken, self.incoming = self.incoming, []
        yield taken

    def begin(self, topic: str, partition: int, offset: int) -> None:
        self.reading.append(offset)

    def end(self, topic: str, partition: int) -> None:
        self.reading.append(-1)

    def known_end(self, *_: Any) -> None: ...

    # -- the threads ---------------------------------------------------------------------------------------

    def resolve(self, assigned: Assigned) -> None:
        self.resolving.append(assigned)

    def find_member(self) -> None:
        if self.memberships:
            self.sink.post(Membership(self.memberships.pop(0)))

    def expect(self, _: str) -> None: ...

    def pack(self, writer: PartitionWriter, block: Block) -> None:
        for effect in writer.packed(block, block.raw):
            self.uploads.append((writer, effect.segment))  # type: ignore[union-attr]

    def drop(self, _: PartitionWriter) -> None: ...

    def post(self, writer: PartitionWriter, posting: Posting) -> None:
        self.letters.append((writer, posting))

    def upload(self, writer: PartitionWriter, segment: SealedSegment) -> None:
        self.uploads.append((writer, segment))
