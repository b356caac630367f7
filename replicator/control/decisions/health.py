"""A destination's health, from probes alone. Pure: time comes in.

Success and latency are exponentially weighted moving averages. A state changes at one bound and changes back
at another, and only after a time, so that a destination at the edge doesn't flap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicator.config import Control

_WEIGHT = 0.2
"""Of the newest probe in the moving averages."""
_POOR, _GOOD = 0.8, 0.95
"""Shares of successes: below the first a destination is degraded, above the second no longer."""
_HOPELESS = 0.25
"""A share of successes below which it is down, though some probes get through."""
_ENOUGH = 5
"""Failures before an average can say that."""
_COLD = 1
"""So many successes say nothing about latency: the first one opens the connection."""


class HealthState(StrEnum):
    """How a destination is."""

    UNKNOWN = "unknown"
    """Not probed often enough yet."""
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It works, but slowly or not each time."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Reading:
    """A state with its reason. `since` is in the seconds that came in; averages over the last probes."""

    state: HealthState
    reason: str
    since: float
    success: float
    latency_s: float


class Health:
    """One destination's health. Times are seconds of one clock and never go back."""

    def __init__(self, settings: Control, now: float, *, was_down: bool = False) -> None:
        """`was_down` is what the last leader knew: it then has to prove itself as after any outage."""
        self._settings = settings
        self._state = HealthState.DOWN if was_down else HealthState.UNKNOWN
        self._reason = "it was down when this leader took over" if was_down else "no probe has ended yet"
        self._since = now
        self._success: float | None = None
        self._latency_s: float | None = None
        self._failing_since: float | None = None
        self._failures = 0
        self._successes = 0
        self._refused = False
        """Whether a probe has failed with an answer, not only by being late."""
        self._good_since: float | None = None

    def succeeded(self, now: float, latency_s: float) -> Reading:
        """A probe came through in `latency_s` seconds."""
        self._average(1.0)
        if self._successes == 0 and not self._refused:
            # All that failed was the patience with this very probe: one slow beginning, no failures.
            self._success = 1.0
        old = self._latency_s
        cold = self._successes <= _COLD
        self._latency_s = latency_s if old is None or cold else old + _WEIGHT * (latency_s - old)
        self._successes += 1
        self._failing_since, self._failures = None, 0
        if self._good_since is None:
            self._good_since = now
        return self._judge(now, None)

    def failed(self, now: float, why: str, *, late: bool = False) -> Reading:
        """A probe failed, or has had no answer for too long: `late`, and it may still come through."""
        self._average(0.0)
        self._refused |= not late
        self._good_since = None
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = now
        return self._judge(now, why)

    def read(self) -> Reading:
        """The state as the last probe left it."""
        return Reading(self._state, self._reason, self._since, self._success or 0.0, self._latency_s or 0.0)

    @property
    def suspicious(self) -> bool:
        """Whether the last probe failed, or none has ended: the next one should write."""
        return self._good_since is None

    def _average(self, outcome: float) -> None:
        old = self._success
        self._success = outcome if old is None else old + _WEIGHT * (outcome - old)

    def _judge(self, now: float, why: str | None) -> Reading:
        state, reason = self._next(now, why)
        if state is not self._state:
            self._state, self._since = state, now
        if reason is not None:
            self._reason = reason
        return self.read()

    def _next(self, now: float, why: str | None) -> tuple[HealthState, str | None]:
        success, latency_s = self._success or 0.0, self._latency_s or 0.0
        failing_s = 0.0 if self._failing_since is None else now - self._failing_since
        if failing_s >= self._settings.down_delay_s and self._failures > 1:
            return HealthState.DOWN, f"every probe has failed for {failing_s:.0f} s: {why}"
        if self._failures >= _ENOUGH and success < _HOPELESS:
            return HealthState.DOWN, f"{1 - success:.0%} of the last probes failed: {why}"
        if self._state is HealthState.DOWN:
            good_s = -1.0 if self._good_since is None else now - self._good_since
            if good_s < self._settings.healthy_after_s:
                return HealthState.DOWN, None
            # What happened while it was down says nothing about how it is now.
            self._success = success = 1.0
        if self._state is HealthState.UNKNOWN and why is not None:
            return HealthState.UNKNOWN, f"the first probes failed: {why}"
        return self._edge(success, latency_s, why)

    def _edge(self, success: float, latency_s: float, why: str | None) -> tuple[HealthState, str | None]:
        degraded = self._state is HealthState.DEGRADED
        slow_s = self._settings.slow_s * (0.8 if degraded else 1.0)
        if success < (_GOOD if degraded else _POOR):
            last = f", the last: {why}" if why else ""
            return HealthState.DEGRADED, f"{1 - success:.0%} of the last probes failed{last}"
        if latency_s > slow_s and self._successes <= _COLD:
            return HealthState.HEALTHY, f"the first probe took {latency_s:.1f} s, as a new connection may"
        if latency_s > slow_s:
            return HealthState.DEGRADED, f"probes take {latency_s:.1f} s on average"
        return HealthState.HEALTHY, f"probes succeed, in {latency_s * 1000:.0f} ms on average"
