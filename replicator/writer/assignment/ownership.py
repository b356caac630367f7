"""The partitions that this member owns: from the group's word to the first record, and to the last.

Used by the loop's thread alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from confluent_kafka import Consumer, TopicPartition

from replicator import config
from replicator.errors import KafkaError, ReplicatorError
from replicator.fetch.fetcher import Fetcher
from replicator.segment.name import Place
from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import RETRY_S, Assigned, Resolver, State, verdict
from replicator.writer.assignment.offsets import Offsets
from replicator.writer.assignment.resume import Start
from replicator.writer.delivery.segments import Delivery
from replicator.writer.partition.effects import Effect
from replicator.writer.partition.state_machine import Limits, PartitionWriter
from replicator.writer.partition.urgency import Urgencies
from replicator.writer.process.health import Health

_log = structlog.get_logger()


class Ownership:
    """Which partitions are ours, and what happens when one begins, can't go on, or goes."""

    def __init__(
        self,
        settings: config.Sink,
        urgencies: Urgencies,
        fetcher: Fetcher,
        offsets: Offsets,
        health: Health,
        metrics: SinkMetrics,
    ) -> None:
        self._settings = settings
        self._urgencies = urgencies
        self._fetcher = fetcher
        self._offsets = offsets
        self._health = health
        self._metrics = metrics
        self.partitions: dict[Place, Assigned] = {}
        self._delivery: Delivery
        self._resolver: Resolver

    def connect(self, delivery: Delivery, resolver: Resolver) -> None:
        """The threads that find starts and store segments."""
        self._delivery = delivery
        self._resolver = resolver

    def those(self, places: Iterable[TopicPartition]) -> list[Assigned]:
        """Those of the places that are ours."""
        found = [self.partitions.get((each.topic, each.partition)) for each in places]
        return [each for each in found if each is not None]

    def owner(self, writer: PartitionWriter) -> Assigned | None:
        """The partition, if this is still its writer."""
        assigned = self.partitions.get((writer.chain.topic, writer.chain.partition))
        return assigned if assigned is not None and assigned.writer is writer else None

    def take_on(self, consumer: Consumer, places: list[Place]) -> None:
        """The group gave these to us: have their starts found."""
        # The group's client reads nothing, ever. Before the pause a fetch may go out: nothing comes of it.
        assignment = [TopicPartition(topic, partition, 0) for topic, partition in places]
        consumer.incremental_assign(assignment)
        consumer.pause(assignment)
        for place in places:
            former = self.partitions.get(place)
            if former is not None:
                self.release(former)
            self.partitions[place] = assigned = Assigned(*place)
            self._resolver.resolve(assigned)
        _log.info("assigned", partitions=[f"{topic}[{partition}]" for topic, partition in places])

    def release(self, assigned: Assigned) -> None:
        """It is somebody else's now, or nobody's: hold nothing of it."""
        self.partitions.pop((assigned.topic, assigned.partition), None)
        self._read_no_more(assigned)
        self._offsets.forget(assigned)
        writer = assigned.writer
        assigned.leave()
        if writer is not None:
            self._delivery.drop(writer)
        self._health.trouble(assigned.name, None)
        self._metrics.forget(assigned.topic, assigned.partition)

    def begin(self, assigned: Assigned, start: Start | ReplicatorError) -> ReplicatorError | None:
        """Take records from the start on that was found, or do what its error means.

        Returns the error with which the process has to end, None for all others.
        """
        if assigned.state is not State.STARTING:
            return None
        name = assigned.name
        if isinstance(start, ReplicatorError):
            what = verdict(start)
            if what == "exit":
                return start
            if what == "stop":
                assigned.stop(start)
                self._health.trouble(name, str(start))
                _log.error("partition stopped", partition=name, error=str(start))
            else:
                assigned.retry_at = time.monotonic() + RETRY_S
                self._health.trouble(name, str(start))
                _log.warning("the partition's start isn't known yet", partition=name, error=str(start))
            return None
        try:
            self._fetcher.begin(assigned.topic, assigned.partition, start.position)
        except KafkaError as error:
            assigned.retry_at = time.monotonic() + RETRY_S
            self._health.trouble(name, str(error))
            _log.warning("the partition can't be read yet", partition=name, error=str(error))
            return None
        limits = Limits(
            self._settings.segment_bytes,
            self._urgencies.max_age_s(assigned.topic),
            max_letters=self._settings.max_letters,
        )
        assigned.begin(PartitionWriter(start.chain, start.position, limits, start.islands), start.committed)
        self._health.trouble(name, None)
        _log.info("begins", partition=name, topic_id=start.chain.topic_id, offset=start.position)
        return None

    def _read_no_more(self, assigned: Assigned) -> None:
        try:
            self._fetcher.end(assigned.topic, assigned.partition)
        except KafkaError as error:
            _log.warning("what is still read of the partition is dropped", error=str(error))

    def interrupt(self, assigned: Assigned, writer: PartitionWriter, why: str) -> list[Effect]:
        """Kafka refused the offset that comes next, or what it holds there. What is held may be the last copy
        there is: it is stored before the start is looked for."""
        assigned.settle()
        self._read_no_more(assigned)
        _log.warning(
            "the partition can't be read on; its start is looked up when what is held of it is durable",
            partition=assigned.name,
            offset=writer.expected,
            durable=writer.durable,
            error=why,
        )
        self._health.trouble(assigned.name, f"it can't be read from offset {writer.expected} on: {why}")
        return writer.seal("gone")

    def rewind(self, assigned: Assigned, offset: int) -> None:
        """Records that were taken need a schema that can't be had: read them again, for dead letters."""
        assigned.settle()
        self._read_no_more(assigned)
        _log.warning(
            "records need a schema that can't be had; they are read again, for dead letters",
            partition=assigned.name,
            offset=offset,
        )

    def restart(self, assigned: Assigned, *, after_s: float = 0.0) -> None:
        """Forget what is held of the partition and find its start again, but not within `after_s` seconds."""
        self._read_no_more(assigned)
        self._offsets.forget(assigned)
        writer = assigned.writer
        assigned.restart()
        if writer is not None:
            self._delivery.drop(writer)
        if after_s:
            assigned.retry_at = time.monotonic() + after_s
        else:
            self._resolver.resolve(assigned)

    def misplaced(self, writer: PartitionWriter, first: int, topic_id: str | None) -> None:
        """The topic isn't the one whose records were taken: read the new one."""
        assigned = self.owner(writer)
        if assigned is None:
            return
        _log.error(
            "the topic was deleted or recreated: records from here on can't be told from the new topic's, "
            "and are dropped; the new topic is read from its first record",
            topic=assigned.topic,
            partition=assigned.partition,
            first=first,
            topic_id=writer.chain.topic_id,
            new_topic_id=topic_id,
        )
        self.restart(assigned)

    def stop(self, assigned: Assigned, offset: int, reason: str) -> None:
        """The record at `offset` can't be stored: take nothing from there on, and say so."""
        assert assigned.writer is not None
        name = assigned.name
        error = KafkaError(
            f"{name} stopped at offset {offset} (topic id {assigned.writer.chain.topic_id}): {reason} "
            f"What lies below offset {assigned.writer.position} is stored, or about to be; what lies from "
            "there on, that record too, stays in Kafka.",
            next_step="mend the cause and restart the sink before Kafka's retention removes the record",
        )
        assigned.stop(error)
        self._read_no_more(assigned)
        self._health.trouble(name, str(error))
        _log.error("partition stopped", partition=name, offset=offset, reason=reason)
