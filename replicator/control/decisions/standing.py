"""Whether a destination keeps its promise: its health, and whether its lane moves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicator.config import Control
from replicator.control.decisions.health import Health, HealthState, Reading


class Verdict(StrEnum):
    """What counts when copies are counted."""

    KEEPING = "keeping"
    FAILING = "failing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """One destination at one moment; times in seconds since 1970.

    `rpo_s` is None before the first commit is known to be durable there; `free` is the share of its capacity
    that is free, None where nothing limits it. `ready` is False for a standby that couldn't be activated just
    now.
    """

    verdict: Verdict
    since: float
    reason: str
    health: HealthState
    latency_s: float = 0.0
    success: float = 1.0
    lag: int = 0
    rpo_s: float | None = None
    free: float | None = None
    ready: bool = True


class Lane:
    """Whether a destination's group commits while there is something to commit."""

    def __init__(self, now: float) -> None:
        self._committed: int | None = None
        self._moved_at = now
        self.lag = 0

    def see(self, now: float, committed: int, lag: int) -> None:
        """The sum of the group's offsets and the offsets that it lacks."""
        if committed != self._committed or lag == 0:
            self._moved_at = now
        self._committed, self.lag = committed, lag

    def begin(self, now: float) -> None:
        """It was activated: from now on it is expected to move."""
        self._moved_at = now

    def stalled_s(self, now: float) -> float:
        """Seconds without a commit while it lagged."""
        return now - self._moved_at if self.lag else 0.0


class Standing:
    """One destination's health and lane, and since when the verdict on it stands."""

    def __init__(self, settings: Control, now: float, *, was_down: bool = False) -> None:
        self._settings = settings
        self.health = Health(settings, now, was_down=was_down)
        self.lane = Lane(now)
        self.rpo_s: float | None = None
        self.free: float | None = None
        self._verdict = Verdict.UNKNOWN
        self._since = now

    def observe(self, now: float, *, on_duty: bool) -> Observation:
        """The verdict now; a lane counts only while the destination is to take changes."""
        reading = self.health.read()
        verdict, reason = self._judge(reading, now, on_duty)
        if verdict is not self._verdict:
            self._verdict, self._since = verdict, now
        return Observation(
            verdict,
            self._since,
            reason,
            reading.state,
            reading.latency_s,
            reading.success,
            self.lane.lag,
            self.rpo_s,
            self.free,
        )

    def _judge(self, reading: Reading, now: float, on_duty: bool) -> tuple[Verdict, str]:
        if reading.state is HealthState.DOWN:
            return Verdict.FAILING, reading.reason
        stalled_s = self.lane.stalled_s(now) if on_duty else 0.0
        if stalled_s >= self._settings.stalled_after_s:
            return Verdict.FAILING, (
                f"its sinks have committed nothing for {stalled_s:.0f} s, {self.lane.lag} offsets wait"
            )
        if reading.state is HealthState.UNKNOWN:
            return Verdict.UNKNOWN, reading.reason
        return Verdict.KEEPING, reading.reason
