"""Commits: what is durable, told to the group without ever waiting for it in the loop."""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator.segment.name import Place
from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import Assigned, State
from replicator.writer.destination import Fingerprint
from replicator.writer.kafka.commits import commit_metadata
from replicator.writer.process import failpoints
from replicator.writer.process.health import Health

_log = structlog.get_logger()
_UNANSWERED_S = 10.0
_REFUSED_S = 1.0
"""A commit that was refused is sent again after so long."""


class Offsets:
    """The commits of one consumer; `answered` is its `on_commit`. Used by the loop's thread alone."""

    def __init__(self, fingerprint: Fingerprint, metrics: SinkMetrics, health: Health) -> None:
        self._fingerprint = fingerprint
        self._metrics = metrics
        self._health = health
        self._consumer: Consumer | None = None
        self._pending: dict[Place, Assigned] = {}
        self._asked_at: float | None = None
        self._refusals = 0
        """In a row, without a commit that was taken."""
        self._not_before = 0.0

    def attach(self, consumer: Consumer) -> None:
        """The consumer that commits; it is made after this, because it needs `answered`."""
        self._consumer = consumer

    def add(self, assigned: Assigned) -> None:
        """Have the partition's durable offset committed with the next commit, if it isn't yet."""
        if assigned.writer is not None and assigned.durable > assigned.committed:
            self._pending[assigned.topic, assigned.partition] = assigned

    def forget(self, assigned: Assigned) -> None:
        """Commit nothing of the partition any more."""
        self._pending.pop((assigned.topic, assigned.partition), None)

    def commit_soon(self, partitions: Iterable[Assigned], now: float) -> None:
        """Send what is durable and not committed, one commit at a time; `answered` hears what came of it."""
        unanswered = self._asked_at is not None and now - self._asked_at < _UNANSWERED_S
        if unanswered or now < self._not_before:
            return
        for assigned in partitions:
            if assigned.durable > assigned.committed:
                self.add(assigned)
        if not self._pending or self._consumer is None:
            return
        failpoints.reach("before_commit")
        try:
            self._consumer.commit(offsets=self._offsets(), asynchronous=True)
            self._asked_at = now
        except KafkaException as error:
            self._refused(error.args[0])

    def commit_now(self) -> None:
        """Commit and wait for the answer: before partitions are given back, and at the end."""
        if not self._pending or self._consumer is None:
            return
        failpoints.reach("before_commit")
        try:
            self.answered(None, self._consumer.commit(offsets=self._offsets(), asynchronous=False) or [])
        except KafkaException as error:
            self._refused(error.args[0])

    def answered(self, error: BrokerError | None, partitions: list[TopicPartition]) -> None:
        """Kafka's answer to a commit. What failed is sent again while the partition is ours."""
        self._asked_at = None
        refusal = error
        for each in partitions:
            problem = each.error or error
            place = (each.topic, each.partition)
            assigned = self._pending.get(place)
            if problem is not None:
                refusal = problem
            elif assigned is not None:
                assigned.committed = max(assigned.committed, each.offset)
                if assigned.committed >= assigned.durable:
                    del self._pending[place]
        if refusal is not None:
            self._refused(refusal)
        else:
            self._refusals = 0
            self._health.trouble("commits", None)
        if error is None:
            failpoints.reach("after_commit")

    def _offsets(self) -> list[TopicPartition]:
        return [
            TopicPartition(
                each.topic,
                each.partition,
                each.durable,
                metadata=commit_metadata(self._fingerprint, each.writer.chain),
            )
            for each in self._pending.values()
            if each.writer is not None and each.state is not State.GONE
        ]

    def _refused(self, error: BrokerError) -> None:
        self._metrics.commit_errors.inc()
        self._not_before = time.monotonic() + _REFUSED_S
        self._refusals += 1
        if self._refusals > 1:  # one is no news: the group may just be moving partitions
            self._health.trouble("commits", error.str())
        _log.warning("a commit was refused; it is sent again while the partition is ours", error=error.str())
