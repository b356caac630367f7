"""All destinations under observation: probes and Kafka's view go in, observations come out."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.config import Config
from replicator.control.decisions.health import HealthState, Reading
from replicator.control.decisions.standing import Observation, Standing
from replicator.control.events.state import State
from replicator.control.observation.kafka_view import KafkaView
from replicator.control.observation.probe import Prober
from replicator.telemetry import ControlMetrics
from replicator.writer.partition.urgency import Urgencies
from replicator.writer.process.pool import Supervisor

_STATES = {HealthState.UNKNOWN: 0, HealthState.HEALTHY: 1, HealthState.DEGRADED: 2, HealthState.DOWN: 3}


class Lookout:
    """For one leader's term. Times are seconds since 1970, except where they say monotonic."""

    def __init__(
        self, config: Config, state: State, metrics: ControlMetrics, supervisor: Supervisor, now: float
    ) -> None:
        """What the last leader found down has to prove itself again."""
        self._settings = config.control
        # A quiet lane has lag for as long as a beat's records wait to be sealed: nothing is wrong with that.
        beat = f"{config.installation}.replicator.heartbeat"
        self._unsuspicious_s = config.control.probe_patience_s + Urgencies(
            config.sink, config.installation
        ).max_age_s(beat)
        self._metrics = metrics
        self._standings = {
            name: Standing(
                config.control,
                now,
                was_down=name in state.health and state.health[name].subject == HealthState.DOWN,
            )
            for name in config.destinations
        }
        self._probers = {
            name: Prober(name, place, config.control, supervisor)
            for name, place in config.destinations.items()
        }
        self._overdue: dict[str, int] = dict.fromkeys(config.destinations, 0)

    def probed(self, now: float, monotonic: float) -> list[tuple[str, Reading]]:
        """Take in what probes say; the destinations whose state changed by it, with their readings."""
        changed = []
        for name, prober in self._probers.items():
            health = self._standings[name].health
            before = health.read().state
            outcome = prober.take()
            patience_s = self._settings.probe_patience_s
            waited = int(prober.waiting_s(monotonic) / patience_s)
            if outcome is not None:
                self._overdue[name] = 0
                self._standings[name].free = outcome.free
                self._metrics.probes.labels(name, "failed" if outcome.failure else "ok").inc()
                if outcome.failure is None:
                    health.succeeded(now, outcome.seconds)
                else:
                    health.failed(now, outcome.failure)
            elif waited > self._overdue[name]:
                # Each time its patience has passed once more counts as one failure: a hanging store is down
                # as soon as one that refuses.
                self._overdue[name] = waited
                health.failed(now, f"no answer for {waited * patience_s:.0f} s", late=True)
            reading = health.read()
            self._tell(name, reading)
            stalled_s = self._standings[name].lane.stalled_s(now)
            prober.suspect(health.suspicious or stalled_s > self._unsuspicious_s)
            if reading.state is not before:
                changed.append((name, reading))
        return changed

    def seen(self, view: KafkaView, rpo_s: Mapping[str, float]) -> None:
        """Take in what Kafka says of the lanes, and each destination's RPO where it is known."""
        for name, standing in self._standings.items():
            standing.lane.see(view.at, view.committed(name), view.lag(name))
            standing.rpo_s = rpo_s.get(name)

    def activated(self, name: str, now: float) -> None:
        """The destination's lane is expected to move from now on."""
        self._standings[name].lane.begin(now)

    def observe(self, on_duty: list[str], now: float) -> dict[str, Observation]:
        """How each destination stands now."""
        return {
            name: standing.observe(now, on_duty=name in on_duty) for name, standing in self._standings.items()
        }

    def close(self) -> None:
        """Probe no more."""
        for prober in self._probers.values():
            prober.close()

    def _tell(self, name: str, reading: Reading) -> None:
        self._metrics.health.labels(name).set(_STATES[reading.state])
        self._metrics.probe_success.labels(name).set(reading.success)
        self._metrics.probe_seconds.labels(name).set(reading.latency_s)
