"""Which moments around a refused one are possible. What the schema refuses ends only where DDL was logged;
what a hole refuses begins in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.debezium import names
from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import Commits
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.moment import cut
from replicator.restore.moment.cut import Cut, SnapshotPoint
from replicator.restore.moment.edges import Edges
from replicator.restore.moment.events import OUR_LOGS
from replicator.restore.moment.history import History
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.segments.catalog import Catalog, Hole
from replicator.restore.segments.fetch import Fetcher

_TRIES = 100
"""So many changes of the schema are looked at in each direction."""

Refusal = Callable[[int], SchemaRefusedError | None]
"""Why the schema of the cut after a commit is refused; None when it isn't."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The cuts from `first` to `last` are refused, and why."""

    first: Cut
    last: Cut
    why: str

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"first": self.first.as_json(), "last": self.last.as_json(), "why": self.why}


def spans(rows: Iterable[DdlRow], first: int, last: int, refusal: Refusal) -> Iterator[tuple[int, int, str]]:
    """The cuts from commit `first` to `last` that are refused, as ranges with the reason. Pure."""
    open_at, why = None, ""
    for begin, end in _stretches(rows, first, last):
        good = _last_allowed(begin, end, refusal)
        error = None if good == end else refusal(end)
        if open_at is not None and (good is not None or error is None or error.message != why):
            yield open_at, begin - 1, why
            open_at = None
        if error is not None and open_at is None:
            open_at, why = begin if good is None else good + 1, error.message
    if open_at is not None:
        yield open_at, last, why


def around(
    rows: Iterable[DdlRow], at: int, first: int, last: int, refusal: Refusal
) -> tuple[int | None, int | None]:
    """The nearest cuts from `first` to `last` before and after the refused one that aren't. Pure."""
    stretches = list(_stretches(rows, first, last))
    before = [(begin, min(end, at)) for begin, end in reversed(stretches) if begin <= at][:_TRIES]
    after = [begin for begin, _ in stretches if begin > at][:_TRIES]
    goods = (_last_allowed(begin, end, refusal) for begin, end in before)
    return (
        next((each for each in goods if each is not None), None),
        next((each for each in after if refusal(each) is None), None),
    )


def named(
    error: SchemaRefusedError, found: tuple[int | None, int | None], commits: Commits, point: SnapshotPoint
) -> SchemaRefusedError:
    """The error with the moments that are possible instead."""
    before, after = (None if each is None else option(each, commits, point) for each in found)
    if before and after:
        step = f"the nearest possible moments: before it {before}, after it {after}"
    elif before or after:
        step = f"the nearest possible moment, {'before' if before else 'after'} it: {before or after}"
    else:
        step = "no moment that is stored is possible; take a new snapshot, or name a destination with a base"
    return SchemaRefusedError(error.message, next_step=step)


def option(number: int, commits: Commits, point: SnapshotPoint) -> str:
    """What names the cut after that commit on a command line, and its time."""
    moment = cut.describe(number, commits, point)
    # An LSN counts as reached only when something later is stored.
    how = f"--to-lsn {lsn_text(moment.lsn)}"
    if number == len(commits) and moment.xid is not None:
        how = f"--to-xid {moment.xid}"
    return f"{how} ({cut.time_text(moment.micros)})"


def holes(
    catalog: Catalog, history: History, installation: str, is_captured: Callable[[str, str], bool]
) -> tuple[Hole, ...]:
    """The holes in what restores read; one in the heartbeat's topic matters to nobody."""
    tables = {
        name
        for name in (*history.commits.collections(), *history.snapshot.scanned)
        if is_captured(*name.split(".", 1))
    }
    needed = {names.topic(installation, *each.split(".", 1)) for each in (*tables, *OUR_LOGS)}
    return tuple(hole for chain in catalog for hole in chain.holes if chain.chain.topic in needed)


def reach(fetcher: Fetcher, history: History, catalog: Catalog, lacking: Sequence[Hole]) -> int:
    """The last commit for which nothing is needed of what a hole lacks; -1 when the snapshot itself does."""
    chains = {chain.chain: chain for chain in catalog}
    found = len(history.commits)
    for hole in lacking:
        edges = Edges(fetcher, history.commits, found)
        found = min(found, edges.last_before(chains[hole.chain], hole))
    return found


def _stretches(rows: Iterable[DdlRow], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The cuts from one change of the schema to the one before the next."""
    begins = [first, *sorted({row.commit for row in rows if first < row.commit <= last})]
    yield from zip(begins, [*(each - 1 for each in begins[1:]), last], strict=True)


def _last_allowed(begin: int, end: int, refusal: Refusal) -> int | None:
    """The last cut of a stretch that isn't refused; None when the first one is. Inside of a stretch nothing
    mends what is refused: the schema stays what it is, and a commit that fits to no table stays in the past.
    """
    if refusal(begin) is not None:
        return None
    if refusal(end) is None:
        return end
    while end - begin > 1:
        middle = (begin + end) // 2
        begin, end = (middle, end) if refusal(middle) is None else (begin, middle)
    return begin
