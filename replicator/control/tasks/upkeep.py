"""What keeps a destination in shape, on a schedule: bases, retention, and rolling up small segments.

One piece of work at a time, in a process of its own. What it found is told when it has ended, so whoever
leads next begins what was cut short again; each of them goes on where it was ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from replicator.config import Config
from replicator.control.decisions.alerts import Alert, at_once
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State, upkeep_key
from replicator.control.tasks.apart import Apart
from replicator.errors import ReplicatorError
from replicator.telemetry import ControlMetrics
from replicator.writer.process.pool import Supervisor

if TYPE_CHECKING:
    from replicator.compact.report import Report as Compacted
    from replicator.retention.service import Report as Retained
    from replicator.rollup.service import Report as RolledUp


class Work(StrEnum):
    """What is done, in the order of what comes first where several are due."""

    COMPACTION = "compaction"
    RETENTION = "retention"
    ROLLUP = "rollup"


OVERDUE = "compaction_overdue"
FAILED = {work: f"{work}_failed" for work in Work}
ALERTS = (*FAILED.values(), OVERDUE)
"""The names of the alerts about this."""
_COMMANDS = {
    Work.COMPACTION: "replicator compact {}",
    Work.RETENTION: "replicator retention {} --apply",
    Work.ROLLUP: "replicator rollup {} --apply",
}
_MEANS = {
    Work.COMPACTION: "Restores from there begin with an older base, or with none, and take longer.",
    Work.RETENTION: "Nothing is lost; what is too old stays, and is paid for.",
    Work.ROLLUP: "Nothing is lost; plans and restores ask for many small objects.",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """What one piece of work did: in words, and figures (`passed`, `seconds`, and its own)."""

    work: Work
    destination: str
    words: str
    facts: Mapping[str, float]

    def event(self, at_ms: int, by: str) -> Event:
        """As the control topic tells it."""
        return Event(
            Kind.UPKEPT, at_ms, by, self.words, self.destination, subject=str(self.work), facts=self.facts
        )


def every_s(config: Config, work: Work) -> float:
    """How often it is done, in seconds; 0 for never."""
    hours = {
        Work.COMPACTION: config.compact.every_h,
        Work.RETENTION: config.retention.every_h,
        Work.ROLLUP: config.rollup.every_h,
    }
    return hours[work] * 3600


def due(config: Config, state: State, able: Iterable[str], now_ms: int) -> tuple[Work, str] | None:
    """What is to be done next, in which of the destinations that are able to; None when nothing is. Pure.

    What was done longest ago comes first, and what was never done before that.
    """
    found = []
    for name in able:
        if name not in state.points:
            continue  # nothing in it can be restored yet
        for place, work in enumerate(Work):
            period, last = every_s(config, work), state.upkept.get(upkeep_key(work, name))
            since_ms = 0 if last is None else last.at_ms
            if period and now_ms - since_ms >= period * 1000:
                found.append((since_ms, place, name, work))
    if not found:
        return None
    *_, name, work = min(found)
    return work, name


def alerts(config: Config, state: State, names: Iterable[str], since_ms: int, now_ms: int) -> Iterator[Alert]:
    """What is wrong with it now; `since_ms` is from when on the first could have been done. Pure."""
    for name in names:
        for work in Work:
            last = state.upkept.get(upkeep_key(work, name))
            if every_s(config, work) and last is not None and not last.facts.get("passed"):
                command = _COMMANDS[work].format(name)
                words = (
                    f"The last {work} of {name} failed: {last.reason} {_MEANS[work]} By hand: `{command}`."
                )
                yield Alert(FAILED[work], words, name, last.facts)
        well = state.upkept_well.get(upkeep_key(Work.COMPACTION, name))
        age_s = (now_ms - (since_ms if well is None else well.at_ms)) / 1000
        limit_s = config.compact.overdue_s
        if limit_s is not None and age_s > limit_s:
            yield Alert(
                OVERDUE,
                f"{name} got no base for {age_s / 3600:.1f} h, and compact.remind_h is {limit_s / 3600:g}: "
                f"restores from there take longer every day. `replicator compact {name}` makes one.",
                name,
                {"age_s": age_s},
            )


class Upkeep:
    """Does what is due, one after the other; a round of it never waits."""

    def __init__(
        self, config: Config, metrics: ControlMetrics, supervisor: Supervisor, since_ms: int
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._since_ms = since_ms
        self._apart: Apart[Kept] = Apart("upkeep", supervisor)

    def done(self, now_ms: int, by: str) -> list[Event]:
        """What ended since, as events."""
        return [each.event(now_ms, by) for each in self._apart.take()]

    def round(
        self, state: State, names: Iterable[str], able: Iterable[str], now_ms: int, by: str
    ) -> list[Event]:
        """Have what is due done in those of the destinations that are able to; returns the alerts that begin
        or end with it.

        `state` holds what `done` told.
        """
        wanted = due(self._config, state, able, now_ms)
        if wanted is not None:
            self._apart.want(partial(_do, self._config, *wanted), partial(_ended_silently, *wanted))
        self._tell(state, now_ms)
        found = alerts(self._config, state, names, self._since_ms, now_ms)
        return at_once(state.alerts, found, ALERTS, now_ms, by)

    def close(self) -> None:
        """Do no more; what is being done is ended."""
        self._apart.close()

    def _tell(self, state: State, now_ms: int) -> None:
        for event in state.upkept.values():
            name, work = event.destination or "", str(event.subject)
            well = state.upkept_well.get(upkeep_key(work, name))
            age_s = None if well is None else (now_ms - well.at_ms) / 1000
            cut_ms = None if well is None else well.facts.get("cut_ms")
            base_age_s = None if cut_ms is None else (now_ms - cut_ms) / 1000
            self._metrics.tell_upkeep(work, name, event.facts, age_s, base_age_s)


def _do(config: Config, work: Work, destination: str) -> Kept:
    """Do it, in the child process."""
    try:
        return _WORKS[work](config, destination)
    except ReplicatorError as error:
        words = f"{error.message} {error.next_step or ''}".strip()
        return Kept(work, destination, words, {"passed": 0.0})


def _ended_silently(work: Work, destination: str, status: int | None) -> Kept:
    words = (
        f"Its process ended with status {status} and said nothing; was it killed for its memory "
        "(compact.memory_mb)?"
    )
    return Kept(work, destination, words, {"passed": 0.0})


def _compact(config: Config, destination: str) -> Kept:
    from replicator.compact import service  # here alone: control itself has no use for the restore's loops
    from replicator.restore.moment.cut import Latest
    from replicator.restore.opening import Limits

    limits = Limits(config.compact.memory_mb * 2**20, 1, config.compact.scratch)
    return compacted(service.run(config, destination, Latest(), limits))


def _retain(config: Config, destination: str) -> Kept:
    from replicator.retention import service

    return retained(service.run(config, destination, apply=True))


def _roll_up(config: Config, destination: str) -> Kept:
    from replicator.rollup import service

    return rolled_up(service.run(config, destination, apply=True))


_WORKS: Mapping[Work, Callable[[Config, str], Kept]] = {
    Work.COMPACTION: _compact,
    Work.RETENTION: _retain,
    Work.ROLLUP: _roll_up,
}


def compacted(report: Compacted) -> Kept:
    """The report as an event tells it. Pure."""
    base = report.base
    assert base is not None  # without one the compaction raises
    what = "made" if report.made else "is there already"
    words = ". ".join([f"{base} {what}: {base.records} records, {base.size} bytes", *report.warnings])
    facts = {
        "passed": 1.0,
        "seconds": report.seconds,
        "cut_ms": base.micros / 1000,
        "read_bytes": float(report.read),
        "base_bytes": float(base.size),
        "base_records": float(base.records),
    }
    return Kept(Work.COMPACTION, report.destination, words, facts)


def retained(report: Retained) -> Kept:
    """The report as an event tells it. Pure."""
    floor = report.plan.floor
    begins = "the initial snapshot" if floor is None else f"the {floor}"
    words = f"{report.removed} objects removed, history begins with {begins}"
    words += f", {report.plan.locked} stay under lock" if report.plan.locked else ""
    if report.kept:
        words += f"; {len(report.kept)} weren't let go, the first: {report.kept[0]}"
    facts = {
        "passed": float(not report.kept),
        "seconds": report.seconds,
        "removed": float(report.removed),
        "removed_bytes": float(report.plan.size if report.applied else 0),
        "under_lock": float(report.plan.locked),
    }
    return Kept(Work.RETENTION, report.destination, ". ".join([words, *report.warnings]) + ".", facts)


def rolled_up(report: RolledUp) -> Kept:
    """The report as an event tells it; what was left alone for its lock or its age is no failure. Pure."""
    words = (
        f"{report.rolled} small segments rolled up into {report.made}, {report.removed} removed that were "
        f"rolled up before, {report.plan.waiting} wait"
    )
    words += f"; {len(report.left)} were left, the first: {report.left[0]}" if report.left else "."
    facts = {
        "passed": float(not report.left),
        "seconds": report.seconds,
        "rolled": float(report.rolled),
        "removed": float(report.removed),
    }
    return Kept(Work.ROLLUP, report.destination, words, facts)
