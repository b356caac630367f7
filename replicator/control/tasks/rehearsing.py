"""Drills on a schedule, each in a process of its own: a restore would take the leader's processor from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from replicator.config import Config
from replicator.config import Drill as Settings
from replicator.control.decisions.alerts import Alert, at_once
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State
from replicator.control.tasks.apart import Apart
from replicator.errors import ReplicatorError
from replicator.writer.process.pool import Supervisor

if TYPE_CHECKING:
    from replicator.drill import Result

DRILL_FAILED = "drill_failed"
DRILL_OVERDUE = "drill_overdue"
ALERTS = (DRILL_FAILED, DRILL_OVERDUE)
"""The names of the alerts about drills."""
_BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one drill found: how it ended, in words, and figures (`rpo_s`, `rto_s`, `rows`, `passed`)."""

    state: str
    words: str
    facts: Mapping[str, float]

    def event(self, at_ms: int, by: str) -> Event:
        """The drill as the control topic tells it."""
        return Event(Kind.DRILLED, at_ms, by, self.words, subject=self.state, facts=self.facts)


def told(result: Result, warnings: list[str]) -> Rehearsed:
    """The result as an event tells it. Pure."""
    facts = {"passed": float(result.passed), "rows": float(result.rows)}
    facts |= {
        name: value for name, value in (("rpo_s", result.rpo_s), ("rto_s", result.rto_s)) if value is not None
    }
    return Rehearsed(str(result.state), ". ".join([result.verdict, *warnings]), facts)


def is_due(settings: Settings, state: State, now_ms: int) -> bool:
    """Whether a drill is to be held now: a destination has a restore point, the last is long ago. Pure."""
    if not settings.every_h or not state.points:
        return False
    return state.drilled is None or now_ms - state.drilled.at_ms >= settings.every_h * 3_600_000


def alerts(settings: Settings, state: State, since_ms: int, now_ms: int) -> list[Alert]:
    """What is wrong with drills now; `since_ms` is from when on the first one could have been held. Pure."""
    found = []
    last = state.drilled
    if last is not None and not last.facts.get("passed"):
        found.append(
            Alert(
                DRILL_FAILED,
                f"The last drill didn't pass: {last.reason} `replicator drill --history` has it whole, "
                "`replicator drill` holds another. Until one passes, don't count on a restore.",
                facts=last.facts,
            )
        )
    passed_ms = since_ms if state.drill_passed is None else state.drill_passed.at_ms
    age_s = (now_ms - passed_ms) / 1000
    if settings.overdue_s is not None and age_s > settings.overdue_s:
        found.append(
            Alert(
                DRILL_OVERDUE,
                f"No drill has passed for {age_s / 3600:.1f} h, and drill.remind_h is "
                f"{settings.overdue_s / 3600:g}. Whether a restore works isn't known: `replicator drill`.",
                facts={"age_s": age_s},
            )
        )
    return found


def news(settings: Settings, state: State, since_ms: int, now_ms: int, by: str) -> list[Event]:
    """The alerts about drills that begin or end now; see `alerts`. Pure."""
    return at_once(state.alerts, alerts(settings, state, since_ms, now_ms), ALERTS, now_ms, by)


class Rehearser:
    """Holds one drill at a time; reading it never waits."""

    def __init__(self, config: Config, supervisor: Supervisor) -> None:
        self._config = config
        self._apart: Apart[Rehearsed] = Apart("drill", supervisor)

    def want(self) -> None:
        """Have a drill held unless one is being held."""
        self._apart.want(partial(_hold, self._config), _ended_silently)

    def take(self) -> list[Rehearsed]:
        """What ended since."""
        return self._apart.take()

    def close(self) -> None:
        """Hold no more; one that is being held is ended, and removes what it made."""
        self._apart.close()


def _hold(config: Config) -> Rehearsed:
    """Hold a drill, in the child process."""
    from replicator import drill  # here alone: control itself has no use for the restore's loops

    begun = time.time()
    names = list(config.destinations)
    try:
        result = drill.Drill(config, names).run()
        return told(result, drill.keep(config, names, result))
    except ReplicatorError as error:
        words = f"broken after {time.time() - begun:.0f} s: {error.message}"
        return Rehearsed(_BROKEN, words, {"passed": 0.0})


def _ended_silently(status: int | None) -> Rehearsed:
    words = (
        f"broken: the drill's process ended with status {status} and said nothing; was it killed for its "
        "memory (drill.memory_mb)?"
    )
    return Rehearsed(_BROKEN, words, {"passed": 0.0})
