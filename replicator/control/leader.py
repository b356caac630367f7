"""The leader at work: it looks, decides, and records what it decided before anybody acts on it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from confluent_kafka import TopicPartition

from replicator.config import Config
from replicator.control.decisions.alerts import DAMAGED, news
from replicator.control.decisions.commands import answer
from replicator.control.decisions.decide import Intent, decide, on_duty
from replicator.control.decisions.health import Reading
from replicator.control.decisions.standing import Observation, Verdict
from replicator.control.events.event import Event, Kind
from replicator.control.events.journal import Journal, LostTrackError
from replicator.control.events.log import ControlLog
from replicator.control.observation.background import Latest
from replicator.control.observation.kafka_view import KafkaObserver, KafkaView
from replicator.control.observation.lookout import Lookout
from replicator.control.observation.watches import NAMES, Seen, Watches
from replicator.control.tasks import rehearsing, upkeep
from replicator.control.tasks.completing import Completer, Completion, sources
from replicator.control.tasks.failover import Failover, NotNowError
from replicator.control.tasks.lanes import Lanes
from replicator.control.tasks.publishing import Author
from replicator.control.tasks.rehearsing import Rehearser
from replicator.control.tasks.upkeep import Upkeep
from replicator.control.tasks.verifying import Verifier
from replicator.errors import KafkaError
from replicator.points import SignedPoint, Signer
from replicator.telemetry import ControlMetrics
from replicator.writer.process.pool import Supervisor

_LOOK_S = 1.0
_DECIDE_S = 0.5
_UNREADY_S = 10.0
"""A standby that couldn't be activated isn't chosen again for so long."""
_log = structlog.get_logger()


def whoami() -> str:
    """This process, for people who read events."""
    return f"control@{socket.gethostname()}:{os.getpid()}"


class Leader:
    """One term of office. Used by the loop's thread alone; `close` ends it."""

    def __init__(
        self,
        config: Config,
        log: ControlLog,
        signer: Signer,
        metrics: ControlMetrics,
        supervisor: Supervisor,
    ) -> None:
        """Fence the former leader, read all that it wrote, and begin an epoch.

        `KafkaError`, `RegistryError` when that isn't possible now.
        """
        self._config = config
        self._log = log
        self._metrics = metrics
        self._journal = Journal(config)
        # Only now: whatever the former leader wrote stands in the topic, and it can add nothing.
        log.catch_up()
        self._epoch = log.state.epoch + 1
        self._number = 0
        observer = KafkaObserver(config)
        cluster_id = observer.brokers.cluster_id()
        self.record(Event(Kind.LEADER, _now_ms(), whoami(), f"leads from here on, epoch {self._epoch}"))
        self._failover = Failover(config, observer.brokers, cluster_id)
        self._lanes = Lanes(
            config, Author(config.installation, cluster_id, self._epoch, signer), metrics, supervisor
        )
        self._lookout = Lookout(config, log.state, metrics, supervisor, time.time())
        self._kafka: Latest[KafkaView] = Latest(
            "look at Kafka", lambda: observer.look(config.destinations), _LOOK_S, supervisor
        )
        self._completer = Completer(config, supervisor)
        self._copied: dict[str, Completion] = {}
        self._verifier = Verifier(config, supervisor)
        self._rehearser = Rehearser(config, supervisor)
        self._began_ms = _now_ms()
        self._upkeep = Upkeep(config, metrics, supervisor, self._began_ms)
        self._view: KafkaView | None = None
        watches = Watches(config)
        self._watches: Latest[Seen] = Latest(
            "watch Connect, slot and retention",
            lambda: watches.look(tuple(on_duty(log.state, config.destinations))),
            config.control.watch_every_s,
            supervisor,
        )
        self._suspected: set[str] = set()
        self._decide_at = 0.0
        self._not_before: dict[str, float] = {}
        _log.info("leads", epoch=self._epoch)

    def round(self) -> None:
        """Look at what came in, and act on it.

        `FencedError` when another process has taken over, `LostTrackError` when the term has to begin anew;
        `KafkaError` and `RegistryError` when something couldn't be done now.
        """
        view = self._kafka.take()
        if view is not None:
            self._view = view
            rpo_s = self._lanes.see(view, self._log.state)
            self._lookout.seen(view, rpo_s)
        now, monotonic = time.time(), time.monotonic()
        self._lanes.rpo_s(now)
        for name, reading in self._lookout.probed(now, monotonic):
            self._tell_health(name, reading)
        if monotonic >= self._decide_at:
            self._decide_at = monotonic + _DECIDE_S
            self._decide(now)
        watched = self._watches.take()
        if watched is not None:
            self._warn(watched)
        points = self._lanes.stored()
        if points:
            self.record(points=points)

    def close(self) -> None:
        """End the term: nothing is looked at or decided any more."""
        self._kafka.close()
        self._lanes.close()
        self._lookout.close()
        self._watches.close()
        self._completer.close()
        self._verifier.close()
        self._rehearser.close()
        self._upkeep.close()
        self._metrics.stand_by()

    def record(
        self,
        *events: Event,
        points: Sequence[SignedPoint] = (),
        group: str | None = None,
        offsets: Sequence[TopicPartition] = (),
    ) -> None:
        """Have it stand in the topic, and in the state, before anything else is decided.

        `FencedError`, `LostTrackError`: the term is over. `RegistryError`: nothing was recorded.
        """
        stamped = [
            replace(event, epoch=self._epoch, number=self._number + i) for i, event in enumerate(events, 1)
        ]
        self._journal.write(stamped, points, group=group, offsets=offsets)
        self._number += len(stamped)
        for event in stamped:
            self._metrics.events.labels(str(event.kind)).inc()
            _log.info(
                "event",
                kind=str(event.kind),
                destination=event.destination,
                subject=event.subject,
                reason=event.reason,
            )
        try:
            self._log.catch_up()
        except KafkaError as error:
            # To decide on a state without what was just decided would be to decide it twice.
            raise LostTrackError(error.message, next_step=error.next_step) from None

    def _decide(self, now: float) -> None:
        config, policies = self._config, self._config.destinations
        duty = on_duty(self._log.state, policies)
        seen = {
            name: replace(each, ready=now >= self._not_before.get(name, 0.0))
            for name, each in self._lookout.observe(duty, now).items()
        }
        for asked in sorted(self._log.state.asked.values(), key=lambda each: each.at_ms):
            self._do(answer(asked, self._log.state, policies, seen, now, whoami()), now)
        for intent in decide(self._log.state, policies, seen, config.control, now, whoami()):
            self._do(intent, now)
        self._complete(seen)
        self._verify(seen)
        self._rehearse()
        self._keep_up(seen)
        self._tell_duties(seen)

    def _do(self, intent: Intent, now: float) -> None:
        event = intent.event
        if event.kind != Kind.ACTIVATED or event.destination is None:
            self.record(event)
            return
        try:
            activation = self._failover.prepare(event, intent.failed, self._view)
        except NotNowError as error:
            if event.answers is not None:
                self.record(replace(event, kind=Kind.REFUSED, reason=error.message))
            else:
                # The next best is tried meanwhile: a promise isn't left broken for one that can't.
                self._not_before[event.destination] = now + _UNREADY_S
                _log.warning("can't be activated now", destination=event.destination, error=error.message)
            return
        self.record(activation.event, group=activation.group, offsets=activation.offsets)
        self._lanes.forget(event.destination)
        self._lookout.activated(event.destination, now)

    def _complete(self, seen: Mapping[str, Observation]) -> None:
        """Have activated standbys given their past, as long as they have it not."""
        for done in self._completer.take():
            duty = self._log.state.duties.get(done.standby)
            # What was copied for an earlier activation lacks what came between the two.
            if duty is None or not duty.active or duty.event.id != done.activation:
                continue
            if done.failure and done == self._copied.get(done.standby):
                continue  # the same failure again is no news, and the topic is kept for ever
            self._copied[done.standby] = done
            words = done.failure or f"it is a restore source by itself: all that {done.source} has is there"
            facts = {"segments": float(done.segments), "bytes": float(done.size)}
            kind = Kind.COPIED if done.failure is None else Kind.COPY_FAILED
            self.record(Event(kind, _now_ms(), whoami(), words, done.standby, done.source, facts=facts))
        duty_now = on_duty(self._log.state, self._config.destinations)
        well = [name for name in duty_now if seen[name].verdict is Verdict.KEEPING]
        for name, duty in self._log.state.duties.items():
            if duty.active and not duty.copied and name in self._config.destinations and self._view:
                others = [other for other in well if other != name]
                able = sources(others, duty.event.offsets, self._view)
                self._completer.want(name, duty.event.id, able, time.monotonic())

    def _verify(self, seen: Mapping[str, Observation]) -> None:
        """Have what is due looked at, and tell what was found."""
        for done in self._verifier.take():
            self.record(*done.events(self._log.state.alerts, _now_ms(), whoami()))
            for kind, count in done.counts.items():
                self._metrics.findings.labels(done.destination, kind).set(count)
        every_s = self._config.control.verify_every_h * 3600
        if not every_s or self._view is None:
            return
        state = self._log.state
        for name in self._with_past():
            last = state.verified.get(name)
            age_s = None if last is None else time.time() - last.at_ms / 1000
            if age_s is not None:
                self._metrics.verified.labels(name).set(age_s)
            if (age_s is None or age_s >= every_s) and seen[name].verdict is Verdict.KEEPING:
                self._verifier.want(name, self._view, time.monotonic())

    def _with_past(self) -> list[str]:
        """The destinations on duty that have their past as well; that a standby lacks it is told already."""
        state = self._log.state
        return [
            name
            for name in on_duty(state, self._config.destinations)
            if self._config.destination(name).role != "standby" or state.duties[name].copied
        ]

    def _keep_up(self, seen: Mapping[str, Observation]) -> None:
        """Have bases made and old history removed when it is due, and tell what came of it."""
        if done := self._upkeep.done(_now_ms(), whoami()):
            self.record(*done)
        names = self._with_past()
        able = [name for name in names if seen[name].verdict is Verdict.KEEPING]
        if found := self._upkeep.round(self._log.state, names, able, _now_ms(), whoami()):
            self.record(*found)

    def _rehearse(self) -> None:
        """Have a drill held when it is due, and tell what it found, or that none has passed for long."""
        for done in self._rehearser.take():
            self.record(done.event(_now_ms(), whoami()))
        state, now_ms = self._log.state, _now_ms()
        if rehearsing.is_due(self._config.drill, state, now_ms):
            self._rehearser.want()
        if events := rehearsing.news(self._config.drill, state, self._began_ms, now_ms, whoami()):
            self.record(*events)
        last, passed = state.drilled, state.drill_passed
        self._metrics.tell_drills(
            None if last is None else last.facts,
            None if passed is None else (now_ms - passed.at_ms) / 1000,
        )

    def _tell_health(self, name: str, reading: Reading) -> None:
        said = self._log.state.health.get(name)
        if said is None or said.subject != reading.state:
            facts = {"success": reading.success, "latency_s": reading.latency_s}
            self.record(
                Event(Kind.HEALTH, _now_ms(), whoami(), reading.reason, name, str(reading.state), facts=facts)
            )

    def _warn(self, seen: Seen) -> None:
        """Raise alerts that are new, and end those that are over."""
        found = news(self._log.state.alerts, seen.alerts, self._suspected, seen.watched, _now_ms(), whoami())
        self._suspected = {alert.key for alert in seen.alerts}
        if found:
            self.record(*found)
        raised = [event.subject for event in self._log.state.alerts.values()]
        for name in (*NAMES, DAMAGED, *rehearsing.ALERTS, *upkeep.ALERTS):
            self._metrics.alerts.labels(name).set(raised.count(name))
        self._metrics.connector.set(seen.connector_runs)
        if seen.retained_wal is not None:
            self._metrics.retained_wal.set(seen.retained_wal)
        for name, seconds in self._lanes.remaining_s(seen.retention_s, time.time()).items():
            self._metrics.retention.labels(name).set(seconds)

    def _tell_duties(self, seen: Mapping[str, Observation]) -> None:
        state, metrics = self._log.state, self._metrics
        duty = on_duty(state, self._config.destinations)
        for name in self._config.destinations:
            metrics.on_duty.labels(name).set(name in duty)
        metrics.keeping.set(sum(seen[name].verdict is Verdict.KEEPING for name in duty))
        metrics.min_copies.set(self._config.control.min_copies)
        metrics.paused.set(state.paused is not None)


def _now_ms() -> int:
    return int(time.time() * 1000)
