"""Keeping a connector running: a task that failed is started again, ever less often, and never over a hole.

Connect itself leaves a FAILED task as it is, though the cause may have passed: a registry that was restarted,
a broker that was away for longer than a transaction may last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from replicator.source.running import State

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
CALM_S = 600.0
"""A connector that ran for so long begins with the first pause again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for now."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start connector and tasks again. `attempt` counts from 1."""

    attempt: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A restart would lose changes, or hide that they are lost."""

    reason: str


Decision = Wait | Restart | GiveUp


class Watch:
    """Decides from a state and the time; does nothing itself."""

    def __init__(self) -> None:
        self._attempts = 0
        self._next_at = 0.0
        self._running_since: float | None = None

    def decide(self, state: State, now: float, hole: Callable[[], str | None]) -> Decision:
        """What to do about `state` at `now` (monotonic seconds); `hole` is only asked before a restart."""
        if not state.failed:
            self._ran(state, now)
            return Wait()
        self._running_since = None
        if now < self._next_at:
            return Wait()
        lost = hole()
        if lost is not None:
            return GiveUp(lost)
        self._attempts += 1
        self._next_at = now + min(FIRST_PAUSE_S * 2.0 ** (self._attempts - 1), LONGEST_PAUSE_S)
        return Restart(self._attempts)

    def _ran(self, state: State, now: float) -> None:
        if not state.runs:
            self._running_since = None
        elif self._running_since is None:
            self._running_since = now
        elif now - self._running_since >= CALM_S:
            self._attempts = 0
            self._next_at = 0.0
