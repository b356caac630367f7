"""The sink: one thread that owns both of Kafka's clients, and applies what the state machines and the threads
say.

take in → apply events → tick → commit each partition's contiguous durable prefix.

The consumer is the member of the group: it is told which partitions are ours, and commits. The fetcher reads
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import structlog
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator import config
from replicator.deadletter.letter import range_letter
from replicator.errors import KafkaError, ReplicatorError
from replicator.fetch.fetcher import Fetcher
from replicator.segment.name import Place
from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import (
    RETRY_S,
    Assigned,
    Membership,
    Resolved,
    Resolver,
    State,
)
from replicator.writer.assignment.draining import drain
from replicator.writer.assignment.offsets import Offsets
from replicator.writer.assignment.ownership import Ownership
from replicator.writer.delivery.outbox import Outbox, Posted
from replicator.writer.delivery.segments import Delivery, Event, Misplaced, Packed, Refused, Stored, Turned
from replicator.writer.intake import Intake
from replicator.writer.memory.pressure import Pressure
from replicator.writer.partition.effects import Commit, Effect, Pack, Post, Rewind, Stop, Upload
from replicator.writer.partition.state_machine import PartitionWriter
from replicator.writer.partition.urgency import Urgencies
from replicator.writer.process import failpoints
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Supervisor

_log = structlog.get_logger()
_PATIENCE_S = 0.05
_SETTLE_S = 0.01
_GAUGES_S = 1.0
"""How often figures about all partitions are brought up to date."""


@dataclass(frozen=True, slots=True)
class SchemasChanged:
    """A schema became known or was refused, or the registry's health changed."""


@dataclass(frozen=True, slots=True)
class TopicsCame:
    """All topics that have come lately, which the group's pattern may not have found yet."""

    names: list[str]


LoopEvent = Event | Posted | Resolved | Membership | SchemasChanged | TopicsCame


class Sink:
    """One member of a destination's writer group."""

    def __init__(
        self,
        settings: config.Sink,
        urgencies: Urgencies,
        consumer: Consumer,
        fetcher: Fetcher,
        offsets: Offsets,
        health: Health,
        metrics: SinkMetrics,
        supervisor: Supervisor,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._fetcher = fetcher
        self._offsets = offsets
        self._health = health
        self._metrics = metrics
        self._supervisor = supervisor
        self._events: SimpleQueue[LoopEvent] = SimpleQueue()
        self._ownership = Ownership(settings, urgencies, fetcher, offsets, health, metrics)
        self._intake = Intake(settings, fetcher, self._ownership, metrics, self._apply)
        self._pressure = Pressure(settings.memory_bytes, metrics)
        self._pattern = ""
        self._to_name: list[str] | None = None
        """Topics that the next round names to the group beside the pattern; None when it has been told."""
        self._settle_at = self._gauges_at = 0.0
        self._drained = False
        """Whether all partitions were drained for the end; closing revokes them, and drains none again."""
        self._asking = False
        """Whether the group is being asked about this member."""
        self._fatal: ReplicatorError | None = None
        self._delivery: Delivery
        self._resolver: Resolver
        self._outbox: Outbox

    def connect(self, delivery: Delivery, resolver: Resolver, outbox: Outbox) -> None:
        """The threads that work for the loop; they post to `post`."""
        self._ownership.connect(delivery, resolver)
        self._intake.connect(delivery, outbox)
        self._delivery = delivery
        self._resolver = resolver
        self._outbox = outbox

    def post(self, event: LoopEvent) -> None:
        """Tell the loop; from any thread."""
        self._events.put(event)

    @property
    def partitions(self) -> dict[Place, Assigned]:
        """What is assigned now."""
        return self._ownership.partitions

    def run(self, pattern: str, finished: Callable[[], bool]) -> None:
        """Go round until `finished`, then drain: seal, upload and commit what is held, within the deadline.

        Raises the `ReplicatorError` that makes going on impossible; nothing undone is committed then.
        """
        self._pattern = pattern
        self._subscribe([])
        try:
            while not finished():
                self._round()
        finally:
            try:
                self._drain(list(self.partitions.values()), "shutdown")
                self._drained = True
                self._offsets.commit_now()
                self._consumer.close()
            finally:
                self._fetcher.close()

    def _subscribe(self, named: list[str]) -> None:
        self._consumer.subscribe(
            [self._pattern, *named],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _name_newcomers(self) -> None:
        """Only from the round: events are heard inside of the group's callbacks too, and after the last
        round, where a subscription mustn't change."""
        if self._to_name is not None:
            named, self._to_name = self._to_name, None
            self._subscribe(named)

    def flush(self) -> None:
        """Seal everything that is open."""
        for assigned in list(self.partitions.values()):
            if assigned.writer is not None:
                self._apply(assigned, assigned.writer.seal("flush"))

    def _round(self) -> None:
        if self._pressure.full:
            self._hear_one(_PATIENCE_S)
        else:
            self._intake.take(_PATIENCE_S)
        for message in self._consumer.consume(1, 0):
            self._heed(message)
        self._hear()
        self._name_newcomers()
        now = time.monotonic()
        if now >= self._settle_at:
            self._settle_at = now + _SETTLE_S
            self._settle(now)
            self._pressure.press(self.partitions.values(), self._apply)
        if now >= self._gauges_at:
            self._gauges_at = now + _GAUGES_S
            self._look_around(now)
        self._health.progressed()
        failure = self._fatal or self._supervisor.failure
        if failure is not None:
            raise failure

    def _heed(self, message: Message) -> None:
        """What the group's client says beside its callbacks. Records of it are none of ours."""
        error = message.error()
        if error is None or error.code() == BrokerError._AUTO_OFFSET_RESET:
            return
        if error.fatal() or error.code() == BrokerError.GROUP_AUTHORIZATION_FAILED:
            self._fatal = KafkaError(
                f"The consumer can't go on: {error.str()}",
                next_step="what wasn't committed is read again by the next start",
            )
        else:
            _log.warning("Kafka", error=error.str(), code=error.name(), topic=message.topic() or "")

    def _settle(self, now: float) -> None:
        """Seal what is due, commit what became durable."""
        for assigned in self.partitions.values():
            if assigned.writer is not None:
                effects = assigned.writer.tick(now)
                if effects:
                    self._apply(assigned, effects)
                if assigned.state is State.SETTLING and assigned.writer.settled:
                    self._ownership.restart(assigned, after_s=RETRY_S)
        self._offsets.commit_soon(self.partitions.values(), now)

    def _hear(self) -> None:
        """Apply what the threads have done."""
        with suppress(Empty):
            while True:
                self._happen(self._events.get_nowait())

    def _happen(self, event: LoopEvent) -> None:
        match event:
            case Packed(writer, block, data):
                self._apply(self._ownership.owner(writer), writer.packed(block, data), writer)
            case Stored():
                self._note_stored(event)
                self._apply(self._ownership.owner(event.writer), event.writer.stored(event.segment))
            case Refused(writer, segment, offset, refusal):
                effects = (
                    writer.condemn(segment, offset, refusal.detail)
                    if refusal.stops
                    else writer.rewind(segment)
                )
                self._apply(self._ownership.owner(writer), effects)
            case Turned(writer, segment, reason):
                chain, first, next_ = segment.chain, segment.first, segment.next
                letter = range_letter(self._outbox.destination, chain, first, next_, reason, _now_ms())
                self._apply(self._ownership.owner(writer), writer.refuse(segment, letter), writer)
            case Posted(writer, posting):
                letter = posting.letter
                self._metrics.letters.labels(letter.kind.value, letter.reason.value).inc()
                self._apply(self._ownership.owner(writer), writer.posted(posting), writer)
            case Misplaced(writer, segment, topic_id):
                self._ownership.misplaced(writer, segment.first, topic_id)
            case Resolved(assigned, start):
                self._fatal = self._ownership.begin(assigned, start) or self._fatal
            case Membership(known):
                self._asking = False
                if known:
                    self._health.joined()
            case SchemasChanged():
                self._delivery.schemas_changed()
            case TopicsCame(names):
                self._to_name = names

    def _apply(
        self, assigned: Assigned | None, effects: list[Effect], writer: PartitionWriter | None = None
    ) -> None:
        writer = assigned.writer if assigned is not None else writer
        for effect in effects:
            match effect:
                case Pack(block) if writer is not None:
                    self._delivery.pack(writer, block)
                case Upload(segment) if writer is not None:
                    failpoints.reach("sealed")
                    self._delivery.upload(writer, segment)
                case Post(posting) if writer is not None:
                    self._outbox.post(writer, posting)
                case Commit(offset) if assigned is not None:
                    assigned.durable = offset
                case Rewind(offset) if assigned is not None:
                    self._ownership.rewind(assigned, offset)
                case Stop(offset, reason) if assigned is not None:
                    self._ownership.stop(assigned, offset, reason)

    def _note_stored(self, event: Stored) -> None:
        segment, metrics = event.segment, self._metrics
        metrics.segments.labels(segment.reason).inc()
        metrics.stored_bytes.inc(event.size)
        metrics.put_seconds.observe(event.seconds)
        if not event.created:
            metrics.existed.inc()
        age = None
        if segment.min_timestamp is not None:
            age = max(0.0, time.time() - segment.min_timestamp / 1000)
            metrics.durable_seconds.observe(age)
        _log.info(
            "stored",
            topic=segment.chain.topic,
            partition=segment.chain.partition,
            first=segment.first,
            next=segment.next,
            records=segment.count,
            bytes=event.size,
            reason=segment.reason,
            age_s=None if age is None else round(age, 3),
        )

    # -- the assignment ------------------------------------------------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._health.joined()
        if partitions:
            self._metrics.rebalances.labels("assigned").inc()
            self._ownership.take_on(consumer, [(each.topic, each.partition) for each in partitions])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._metrics.rebalances.labels("revoked").inc()
        leaving = self._ownership.those(partitions)
        if not self._drained:
            self._drain(leaving, "revoked")
        self._offsets.commit_now()
        for each in leaving:
            self._ownership.release(each)
        _log.info("revoked", partitions=[each.name for each in leaving])

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._metrics.rebalances.labels("lost").inc()
        leaving = self._ownership.those(partitions)
        for each in leaving:
            self._ownership.release(each)
        _log.warning(
            "lost: the group gave these partitions to others; what was held of them is dropped, uncommitted",
            partitions=[each.name for each in leaving],
        )

    # -- draining, figures ---------------------------------------------------------------------------------

    def _drain(self, leaving: list[Assigned], reason: str) -> None:
        for each in leaving:
            if each.writer is not None:
                self._apply(each, each.writer.seal(reason))
        drain(leaving, time.monotonic() + self._settings.drain_deadline_s, self._hear_one)
        for each in leaving:
            self._offsets.add(each)

    def _hear_one(self, patience_s: float) -> None:
        with suppress(Empty):
            self._happen(self._events.get(timeout=patience_s))
        self._health.progressed()

    def _look_around(self, now: float) -> None:
        if not self._health.in_group and not self._asking:
            # A member that gets no partition isn't told of its assignment.
            self._asking = True
            self._resolver.find_member()
        states: dict[State, int] = {state: 0 for state in State if state is not State.GONE}
        for assigned in self.partitions.values():
            states[assigned.state] += 1
            if assigned.retry_at is not None and now >= assigned.retry_at:
                assigned.retry_at = None
                self._resolver.resolve(assigned)
            if assigned.writer is not None:
                labels = (assigned.topic, str(assigned.partition))
                self._metrics.durable_offset.labels(*labels).set(assigned.writer.durable)
                end = self._fetcher.known_end(assigned.topic, assigned.partition)
                if end is not None:
                    self._metrics.lag.labels(*labels).set(max(0, end - assigned.writer.durable))
        for state, count in states.items():
            self._metrics.partitions.labels(state.value).set(count)
        if states[State.STOPPED] and states[State.STOPPED] == len(self.partitions):
            first = next(each.error for each in self.partitions.values() if each.error is not None)
            self._fatal = first


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
