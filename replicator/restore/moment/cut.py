"""From a target that a person names to the cut: the last transaction that a restore includes.

Time follows PostgreSQL's rule for `recovery_target_time`: in commit order, stop before the first commit that
is later than the target.
https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-RECOVERY-TARGET-TIME An LSN includes every
transaction whose commit record ends at or before it. For the consistent point of a logical slot that is the
same as "before it": such a point lies between two records and no commit record ends exactly there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from replicator.debezium.envelope import lsn_text, parse_lsn
from replicator.debezium.transactions import SNAPSHOT, Commits
from replicator.errors import ConfigError, RefusedError
from replicator.restore.errors import BeforeBaseError, NotYetError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ToTime:
    """Microseconds since 1970."""

    micros: int

    def __str__(self) -> str:
        return f"the time {time_text(self.micros)}"


@dataclass(frozen=True, slots=True)
class ToLsn:
    """A position in the WAL, as bytes."""

    lsn: int

    def __str__(self) -> str:
        return f"the LSN {lsn_text(self.lsn)}"


@dataclass(frozen=True, slots=True)
class ToXid:
    """A transaction, itself included."""

    xid: int

    def __str__(self) -> str:
        return f"the transaction {self.xid}"


@dataclass(frozen=True, slots=True)
class ToMark:
    """A moment that somebody named: the transaction that called `replicator.mark`, itself included.

    `number` is its commit's, once the marks were read (`replicator.restore.moment.marked`).
    """

    name: str
    number: int | None = None

    def __str__(self) -> str:
        return f"the mark {self.name!r}"


@dataclass(frozen=True, slots=True)
class Latest:
    """As far as the destination is complete."""

    def __str__(self) -> str:
        return "the latest complete moment"


Target = ToTime | ToLsn | ToXid | ToMark | Latest


@dataclass(frozen=True, slots=True)
class SnapshotPoint:
    """Where the initial snapshot stands: its LSN, and its time in microseconds."""

    lsn: int
    micros: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The last included commit: number 0 is the snapshot alone. `lsn` is its END's."""

    number: int
    lsn: int
    xid: int | None
    micros: int

    def as_json(self) -> dict[str, object]:
        """For reports: the LSN and the time as PostgreSQL writes them."""
        return {
            "commit": self.number,
            "lsn": lsn_text(self.lsn),
            "xid": self.xid,
            "time": time_text(self.micros),
        }

    def __str__(self) -> str:
        what = "the initial snapshot" if self.number == SNAPSHOT else f"transaction {self.xid}"
        return f"{what}, LSN {lsn_text(self.lsn)}, {time_text(self.micros)}"


def parse(
    time: str | None, lsn: str | None, xid: int | None, latest: bool, mark: str | None = None
) -> Target:
    """The one target of a command line; `ConfigError` for none, several, or a time without a time zone."""
    if sum((time is not None, lsn is not None, xid is not None, mark is not None, latest)) != 1:
        raise ConfigError(
            "Name one target: --to-time, --to-lsn, --to-xid, --to-mark or --latest.",
            next_step="`replicator points` shows what is possible",
        )
    if time is not None:
        return ToTime(_micros(time))
    if lsn is not None:
        try:
            return ToLsn(parse_lsn(lsn))
        except ValueError as error:
            raise ConfigError(f"--to-lsn: {error}.") from None
    if mark is not None:
        return ToMark(mark)
    return ToXid(xid) if xid is not None else Latest()


def find(
    target: Target, commits: Commits, snapshot: SnapshotPoint, exact_micros: Callable[[int], int]
) -> int:
    """The number of the last commit that the target includes.

    A mark has its number already. `exact_micros` gives a commit's time in microseconds; it is asked only
    inside the target's own millisecond. `RefusedError` before the snapshot's end, `NotYetError` when no later
    commit proves that the target was reached.
    """
    first, last = describe(commits.before, commits, snapshot), describe(len(commits), commits, snapshot)
    reached = f"Stored is from {first} to {last}"
    if isinstance(target, Latest):
        return len(commits)
    if isinstance(target, ToMark):
        if target.number is None:
            raise ValueError(f"{target} wasn't looked up")
        return target.number
    if isinstance(target, ToXid):
        numbers = commits.of_xid(target.xid)
        if not numbers and commits.before:
            raise BeforeBaseError(
                f"{_capital(target)} isn't among the transactions after the base. {reached}."
            )
        if not numbers:
            raise RefusedError(
                f"{_capital(target)} is not in the transaction topic: it rolled back, wrote nothing that "
                "is captured, was "
                f"before the snapshot (LSN {lsn_text(snapshot.lsn)}), or hasn't arrived. {reached}.",
                next_step="name the moment by --to-lsn or --to-time",
            )
        return numbers[-1]
    if commits.before:
        base = commits[commits.before]
        if target.lsn < base.end if isinstance(target, ToLsn) else target.micros < base.committed_ms * 1000:
            raise BeforeBaseError(f"{_capital(target)} is before LSN {lsn_text(base.end)}. {reached}.")
    before = target.lsn < snapshot.lsn if isinstance(target, ToLsn) else target.micros < snapshot.micros
    if before:
        raise RefusedError(
            f"{_capital(target)} is before the initial snapshot, with which this destination's history "
            f"begins. {reached}.",
            next_step=f"the first possible moment: --to-lsn {lsn_text(snapshot.lsn)} "
            f"(--to-time {time_text(snapshot.micros)})",
        )
    for number in range(commits.first, len(commits) + 1):
        if _is_beyond(target, commits, number, exact_micros):
            return number - 1
    raise NotYetError(
        f"{_capital(target)} isn't proven to be reached: no transaction after it is stored yet, and one "
        "before it may "
        f"still be on its way. {reached}.",
        next_step="wait a heartbeat (10 s by default) and try again, or take --latest",
    )


def describe(number: int, commits: Commits, snapshot: SnapshotPoint) -> Cut:
    """The cut after a commit, or after the snapshot."""
    if number == SNAPSHOT:
        return Cut(SNAPSHOT, snapshot.lsn, None, snapshot.micros)
    commit = commits[number]
    return Cut(number, commit.end, commit.xid, commit.committed_ms * 1000)


def _is_beyond(target: ToTime | ToLsn, commits: Commits, number: int, exact: Callable[[int], int]) -> bool:
    commit = commits[number]
    if isinstance(target, ToLsn):
        return commit.end > target.lsn
    earliest = commit.committed_ms * 1000
    if target.micros < earliest:
        return True
    return target.micros < earliest + 999 and exact(number) > target.micros


def time_text(micros: int) -> str:
    """A moment as PostgreSQL and people read it, in UTC."""
    return (EPOCH + timedelta(microseconds=micros)).isoformat(sep=" ")


def _micros(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"--to-time {text!r} is no ISO 8601 time; one looks like 2026-11-22T18:30:00.123456+01:00."
        ) from None
    if moment.tzinfo is None:
        raise ConfigError(
            f"--to-time {text!r} has no time zone, and an hour matters here.",
            next_step=f"add it: {text.strip()}Z for UTC, {text.strip()}+01:00 for Berlin in winter",
        )
    return (moment - EPOCH) // timedelta(microseconds=1)


def _capital(target: Target) -> str:
    text = str(target)
    return text[0].upper() + text[1:]
