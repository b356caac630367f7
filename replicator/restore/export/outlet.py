"""Topics that a restore fills: in one transaction, so that whoever reads committed records sees all or
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from uuid import uuid4

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from confluent_kafka import KafkaError as BrokerError
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
)

from replicator import config
from replicator.errors import KafkaError
from replicator.fetch.ends import UnansweredError, offsets
from replicator.restore.errors import TargetRefusedError
from replicator.segment.name import Place

_log = structlog.get_logger()
_TIMEOUT_S = 30.0
_LARGEST = 64 * 2**20
"""Bytes of the largest record."""
_BUFFER_KB = 64 * 2**10
_BROKERS_LIMIT_MS = 900_000
"""A broker's `transaction.max.timeout.ms` where it doesn't tell; https://kafka.apache.org/documentation/"""


@dataclass(frozen=True, slots=True)
class NewTopicPlan:
    """A topic to fill: compacted where its records have keys that tell them apart, kept for ever."""

    name: str
    partitions: int
    compacted: bool


class Outlet:
    """One transaction over some topics. Left without `commit`, it is aborted, and topics that it made go.

    One thread at a time.
    """

    def __init__(self, settings: config.Kafka, prefix: str) -> None:
        self._settings = settings
        self._prefix = prefix
        self._admin = AdminClient(settings.client())
        self._limit_ms = self._transaction_limit()
        self._fatal: list[str] = []
        self._refused: list[str] = []
        options: dict[str, str | int | float | bool] = {
            # A run that was killed left a transaction open: the next one of this name aborts it.
            "transactional.id": f"replicator.restore.{prefix}",
            "transaction.timeout.ms": self._limit_ms,
            "message.max.bytes": _LARGEST,
            "queue.buffering.max.kbytes": _BUFFER_KB,
            "compression.type": "zstd",
            "linger.ms": 20,
            # A key is where Java's own clients look for it.
            "partitioner": "murmur2_random",
            "delivery.report.only.error": True,
            "allow.auto.create.topics": False,
        }
        self._producer = Producer(settings.client(**options), error_cb=self._told)
        self._made: list[str] = []
        self._starts: dict[Place, int] = {}
        self._used: set[str] = set()
        self._begun = 0.0
        self._state = "closed"

    def open(self, topics: Sequence[NewTopicPlan]) -> None:
        """Make the topics and begin. `TargetRefusedError` for one that is there and holds records,
        `KafkaError` where Kafka doesn't do its part.
        """
        try:
            self._producer.init_transactions(_TIMEOUT_S)
            known = self._admin.list_topics(timeout=_TIMEOUT_S).topics
            there = [each.name for each in topics if each.name in known]
            self._check_empty({name: len(known[name].partitions) for name in there})
            places = [(name, each) for name in there for each in known[name].partitions]
            self._starts = self._ends(places)
            self._make([each for each in topics if each.name not in known])
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self._failed(error) from None
        self._begun, self._state = time.monotonic(), "open"

    def put(
        self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        """Hand one record over; waits while too many are on their way. `KafkaError` when one was refused."""
        self._used.add(topic)
        more: dict[str, Any] = {} if headers is None else {"headers": headers}
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered, **more)
                break
            except BufferError:
                self._producer.poll(0.5)
                self._check()
            except KafkaException as error:
                raise self._failed(error) from None

    def settle(self) -> None:
        """Return when all that was handed over is with the brokers; `KafkaError` otherwise."""
        while self._producer.flush(1.0):
            self._check()
        self._check()

    def held(self) -> dict[str, int]:
        """How many records of this transaction the brokers hold in each topic, by their own offsets."""
        found = dict.fromkeys((topic for topic, _ in self._starts), 0)
        # Of a topic that was made a moment ago not every broker knows yet, unless it was written to.
        for (topic, partition), end in self._ends([at for at in self._starts if at[0] in self._used]).items():
            found[topic] += end - self._starts[topic, partition]
        return found

    def commit(self) -> None:
        """Let everybody see it. `KafkaError`: nobody does, or, if it says so, that isn't known."""
        self.settle()
        self._state = "committing"
        end = time.monotonic() + self._limit_ms / 1000
        while True:
            try:
                self._producer.commit_transaction(_TIMEOUT_S)
            except KafkaException as error:
                told: BrokerError = error.args[0]
                if told.txn_requires_abort():
                    self._state = "open"
                    raise self._failed(error) from None
                if told.retriable() and time.monotonic() < end:
                    continue
                raise KafkaError(
                    f"Whether the restored topics {self._prefix}.* were committed isn't known: {told.str()}",
                    next_step=f"read {self._prefix}.restore with isolation.level=read_committed: a record "
                    "there says that all is there; without one nothing is, and the topics can be deleted",
                ) from None
            self._state = "closed"
            return

    def __enter__(self) -> Outlet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state == "open":
            self._producer.purge()
            # A transaction that can't be aborted now times out at the broker.
            with suppress(KafkaException):
                self._producer.abort_transaction(_TIMEOUT_S)
        if self._state != "committing" and error is not None:
            self._remove()

    def _make(self, topics: Sequence[NewTopicPlan]) -> None:
        forever = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": str(_LARGEST)}
        new = [
            NewTopic(
                each.name,
                num_partitions=each.partitions,
                replication_factor=-1,
                config={**forever, "cleanup.policy": "compact" if each.compacted else "delete"},
            )
            for each in topics
        ]
        for name, future in (self._admin.create_topics(new) if new else {}).items():
            future.result(_TIMEOUT_S)
            self._made.append(name)
        self._starts |= {(each.name, at): 0 for each in topics for at in range(each.partitions)}

    def _remove(self) -> None:
        if not self._made:
            return
        for name, future in self._admin.delete_topics(self._made).items():
            try:
                future.result(_TIMEOUT_S)
            except KafkaException as error:
                _log.warning(
                    "a topic of a restore that failed is left; it shows nobody a committed record",
                    topic=name,
                    why=error.args[0].str(),
                )
        self._made = []

    def _check_empty(self, partitions: Mapping[str, int]) -> None:
        for topic, count in partitions.items():
            if self._has_records(topic, count):
                raise TargetRefusedError(
                    f"The topic {topic} is there and holds records; a restore among them would be no state "
                    "of any moment. Nothing was written.",
                    next_step="name another prefix with --to-kafka, or delete the topics of this one",
                )

    def _has_records(self, topic: str, partitions: int) -> bool:
        more: dict[str, str | int | float | bool] = {
            "group.id": f"{topic}.reader-{uuid4().hex[:8]}",  # never joined: librdkafka wants one
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
        }
        consumer = Consumer(self._settings.client(**more))
        try:
            unread = set(range(partitions))
            consumer.assign([TopicPartition(topic, each, -2) for each in unread])  # -2: from the beginning
            end = time.monotonic() + _TIMEOUT_S
            while unread:
                for message in consumer.consume(100, 1.0):
                    problem = message.error()
                    if problem is None:
                        return True
                    if problem.code() != BrokerError._PARTITION_EOF:
                        raise KafkaException(problem)
                    unread.discard(message.partition() or 0)
                if time.monotonic() > end:
                    raise KafkaError(
                        f"Whether {topic} is empty wasn't told within {_TIMEOUT_S:.0f} s.",
                        next_step="check the brokers: a partition without a leader answers nothing",
                    )
            return False
        finally:
            consumer.close()

    def _ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Where the next record of each partition will stand, committed or not."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        try:
            return offsets(self._admin, places, latest, IsolationLevel.READ_UNCOMMITTED, _TIMEOUT_S)
        except UnansweredError as error:
            raise self._error(f"the end of {error.topic} wasn't told, {error.words}") from None

    def _transaction_limit(self) -> int:
        """Milliseconds that the brokers let a transaction last; asking may be forbidden."""
        try:
            broker = next(iter(self._admin.list_topics(timeout=_TIMEOUT_S).brokers))
        except KafkaException as error:
            raise self._failed(error) from None
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        try:
            entries: Any = self._admin.describe_configs([resource])[resource].result(_TIMEOUT_S)
            return int(entries["transaction.max.timeout.ms"].value)
        except (KafkaException, KeyError, TypeError, ValueError):
            return _BROKERS_LIMIT_MS

    def _delivered(self, error: BrokerError | None, _: object) -> None:
        if error is not None:
            self._refused.append(error.str())

    def _told(self, error: BrokerError) -> None:
        if error.fatal():
            self._fatal.append(error.str())

    def _check(self) -> None:
        wrong = self._fatal or self._refused
        if wrong:
            raise self._error(wrong[0])

    def _failed(self, error: KafkaException) -> KafkaError:
        return self._error((self._fatal or self._refused or [error.args[0].str()])[0])

    def _error(self, why: str) -> KafkaError:
        lasted = time.monotonic() - self._begun if self._begun else 0.0
        if lasted > self._limit_ms / 1000:
            return KafkaError(
                f"The restore into {self._prefix}.* took longer ({lasted:.0f} s) than the brokers let a "
                f"transaction last ({self._limit_ms / 1000:.0f} s), so they ended it: nothing is to be seen.",
                next_step="raise transaction.max.timeout.ms on the brokers, or restore fewer tables at a "
                "time (--tables), each time with another prefix",
            )
        return KafkaError(
            f"Kafka didn't take the restore into {self._prefix}.*: {why}. Nobody who reads committed "
            "records sees any of it.",
            next_step="check the brokers, that `restore: kafka:` names them, and that we may create and "
            "write these topics and the transactional id replicator.restore.*",
        )
