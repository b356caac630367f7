"""The lanes as one leader sees them: how far each destination is, and the restore points that follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog

from replicator.config import Config
from replicator.control.decisions.reach import Reach
from replicator.control.events.state import State
from replicator.control.observation.kafka_view import KafkaView
from replicator.control.observation.stores import short_of_patience
from replicator.control.tasks.publishing import Author, Publisher
from replicator.deadletter.topic import LetterTopic
from replicator.points import SignedPoint
from replicator.storage import ObjectStore
from replicator.telemetry import ControlMetrics
from replicator.writer.process.pool import Supervisor

_log = structlog.get_logger()


class Lanes:
    """Candidates offered, points published, RPO told. For one thread."""

    def __init__(
        self, config: Config, author: Author, metrics: ControlMetrics, supervisor: Supervisor
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._reach = Reach()
        self._committed_ms: dict[str, int] = {}
        """When the newest transaction was committed up to which each destination has everything."""
        self._publishers = {
            name: Publisher(
                name,
                author,
                self._opener(name),
                LetterTopic(config, name).read,
                config.control.point_every_s,
                supervisor,
                others=config.destinations,
            )
            for name in config.destinations
        }

    def see(self, view: KafkaView, state: State) -> dict[str, float]:
        """Take in a look at Kafka; each destination's RPO in seconds, where it is known."""
        candidate = view.candidate()
        if candidate is not None:
            self._reach.offer(candidate)
        self._committed_ms = {}
        for name, publisher in self._publishers.items():
            self._metrics.lag.labels(name).set(view.lag(name))
            published = state.points.get(name)
            reached = self._reach.look(name, view.commits.get(name, {}), view.ends)
            if published is not None:
                self._metrics.point_lsn.labels(name).set(published.lsn)
                self._metrics.point_age.labels(name).set(max(0.0, view.at - published.committed_ms / 1000))
            if not self._complete(name, state):
                continue
            # Over a hole the commits say nothing: what counts is the last point that has none below it.
            times = [] if reached is None or publisher.hole else [reached.end.committed_ms]
            if published is not None:
                times.append(published.committed_ms)
            if times:
                self._committed_ms[name] = max(times)
            if reached is not None:
                publisher.offer(reached, published, time.monotonic())
        return self.rpo_s(view.at)

    def rpo_s(self, now: float) -> dict[str, float]:
        """Each destination's RPO in seconds at `now` (since 1970), where it is known; the metrics hear it.

        It grows while nothing new is seen: a Kafka that doesn't answer must not freeze it.
        """
        found = {name: max(0.0, now - at / 1000) for name, at in self._committed_ms.items()}
        for name, seconds in found.items():
            self._metrics.rpo.labels(name).set(seconds)
        return found

    def remaining_s(self, retention_s: Mapping[str, float], now: float) -> dict[str, float]:
        """Seconds until Kafka drops what each destination lacks, where its RPO is known.

        The oldest thing that it lacks was committed after its newest point.
        """
        rpo_s = self.rpo_s(now)
        return {name: max(0.0, kept_s - rpo_s[name]) for name, kept_s in retention_s.items() if name in rpo_s}

    def stored(self) -> list[SignedPoint]:
        """Points that are in their destinations and have to be told to the topic."""
        found = [signed for publisher in self._publishers.values() if (signed := publisher.stored())]
        for signed in found:
            _log.info("restore point", destination=signed.point.destination, point=str(signed.point))
        return found

    def forget(self, destination: str) -> None:
        """The destination begins elsewhere: what it has reached isn't known any more."""
        self._reach.forget(destination)

    def close(self) -> None:
        """Publish no more."""
        for publisher in self._publishers.values():
            publisher.close()

    def _complete(self, name: str, state: State) -> bool:
        """Whether the destination has the past too: a standby only after it was copied there."""
        if self._config.destination(name).role == "active":
            return True
        duty = state.duties.get(name)
        return duty is not None and duty.active and duty.copied

    def _opener(self, name: str) -> Callable[[], ObjectStore]:
        place, patience_s = self._config.destination(name), self._config.control.probe_patience_s
        return lambda: short_of_patience(place, patience_s)
