"""From a sealed segment to a durable one: compress, wait for its schemas, check its topic, store.

All of it happens in threads; what came of it is posted as an event, which the loop applies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from replicator.segment import container
from replicator.segment.name import SegmentName
from replicator.writer.delivery.lane import Durable, Lane, Rejected
from replicator.writer.kafka.topic_identity import TopicIdentity
from replicator.writer.partition.effects import Block, SealedSegment
from replicator.writer.partition.heading import heading
from replicator.writer.partition.state_machine import PartitionWriter
from replicator.writer.process.pool import Pool, Supervisor
from replicator.writer.schemas.book import Refusal, SchemaBook

_BLOCKS_WAITING = 16


@dataclass(frozen=True, slots=True)
class Packed:
    """A block was compressed."""

    writer: PartitionWriter
    block: Block
    data: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment is durable. `seconds` is how long its PUT took, retries included."""

    writer: PartitionWriter
    segment: SealedSegment
    name: SegmentName
    size: int
    created: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Misplaced:
    """The topic isn't the one that the segment's chain names: its records may be of either incarnation."""

    writer: PartitionWriter
    segment: SealedSegment
    topic_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The segment needs a schema that can't be had."""

    writer: PartitionWriter
    segment: SealedSegment
    offset: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Turned:
    """A healthy destination turned the segment down for good."""

    writer: PartitionWriter
    segment: SealedSegment
    reason: str


Event = Packed | Stored | Misplaced | Refused | Turned


class Delivery:
    """The threads between the state machines and the store."""

    def __init__(
        self,
        lane: Lane,
        book: SchemaBook,
        identity: TopicIdentity,
        cluster_id: str,
        supervisor: Supervisor,
        post: Callable[[Event], None],
    ) -> None:
        self._lane = lane
        self._book = book
        self._identity = identity
        self._cluster_id = cluster_id
        self._post = post
        # One thread compresses what one loop can feed it; more would only take the other parts' CPU. The loop
        # waits for it rather than heap up blocks: they are five times as large before as after.
        self._packers = Pool("pack", 1, supervisor, depth=_BLOCKS_WAITING)
        self._waiting: list[tuple[PartitionWriter, SealedSegment]] = []

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """The schemas whose records go to dead letters."""
        return self._book.refused

    def expect(self, schema: str) -> None:
        """Have the schema looked up before a segment needs it."""
        self._book.want(schema)

    def pack(self, writer: PartitionWriter, block: Block) -> None:
        """Have the block compressed; `Packed` follows."""
        self._packers.submit(lambda: self._post(Packed(writer, block, container.compress(block.raw))))

    def upload(self, writer: PartitionWriter, segment: SealedSegment) -> None:
        """Have the segment stored once its schemas are known; `Stored`, `Misplaced`, `Refused` or
        `Turned` follows."""
        missing = False
        for schema, offset in segment.schemas().items():
            refusal = self._book.refusal(schema)
            if refusal is not None:
                self._post(Refused(writer, segment, offset, refusal))
                return
            if self._book.text(schema) is None:
                missing = True
                self._book.want(schema)
        if missing:
            self._waiting.append((writer, segment))
        else:
            self._identity.ask(
                segment.chain.topic,
                lambda topic_id: self._place(writer, segment, topic_id),
                lambda: not writer.dropped,
            )

    def drop(self, writer: PartitionWriter) -> None:
        """The writer is no longer wanted: hold nothing of it. Called by the loop's thread."""
        self._waiting = [each for each in self._waiting if each[0] is not writer]
        self._lane.drop(writer)

    def schemas_changed(self) -> None:
        """Look again at the segments that wait for a schema."""
        waiting, self._waiting = self._waiting, []
        for writer, segment in waiting:
            if not writer.dropped:
                self.upload(writer, segment)

    def _place(self, writer: PartitionWriter, segment: SealedSegment, topic_id: str | None) -> None:
        if topic_id != segment.chain.topic_id:
            self._post(Misplaced(writer, segment, topic_id))
            return
        if not writer.dropped:
            self._lane.upload(
                writer,
                lambda: container.build(heading(segment, self._cluster_id, self._book.text), segment.take()),
                lambda outcome: self._told(writer, segment, outcome),
            )

    def _told(self, writer: PartitionWriter, segment: SealedSegment, outcome: Durable | Rejected) -> None:
        if isinstance(outcome, Durable):
            built = outcome.segment
            self._post(Stored(writer, segment, built.name, len(built.body), outcome.created, outcome.seconds))
        else:
            reason = (
                f"The destination is healthy and refused {outcome.segment.name.key()} {outcome.attempts} "
                f"times in {outcome.seconds:.0f} s: {outcome.error.message}"
            )
            self._post(Turned(writer, segment, reason))
