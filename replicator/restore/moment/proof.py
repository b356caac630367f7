"""Counting what was read against what Debezium said there would be: equal for every transaction and table, or
no result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import SNAPSHOT, Commits
from replicator.restore.errors import NotYetError, ProofError
from replicator.restore.moment.edges import Edge
from replicator.restore.segments.fetch import Fetched


def check_counts(
    collection: str,
    commits: Commits,
    last: int,
    found: Mapping[int, int],
    edges: Sequence[Edge],
    fetched: Iterable[Fetched],
) -> None:
    """Every transaction up to `last` has as many events in the table as its END says, and no other has any.

    `found` is the number of events by xid. `NotYetError` when events are missing of which a partition may not
    hold all yet; `ProofError` otherwise, naming the transaction, the table and the segments they would be in.
    """
    expected = commits.expected(collection, last)
    if expected == found:
        return
    surplus = sorted(xid for xid, count in found.items() if count > expected.get(xid, 0))
    if surplus:
        xid = surplus[0]
        raise ProofError(
            f"{collection} has {found[xid]} events of transaction {xid}, whose END says "
            f"{expected.get(xid, 0)}. "
            f"{_others(surplus)}Records were duplicated, or belong to a transaction beyond the target.",
            next_step="restore from another destination; report the transaction, this must not happen",
        )
    missing = {xid for xid, count in expected.items() if found.get(xid, 0) < count}
    first = min(number for xid in missing for number in commits.of_xid(xid) if number <= last)
    commit = commits[first]
    counts = (
        f"{collection} has {found.get(commit.xid, 0)} of the {expected[commit.xid]} events of {commit}. "
        f"{_others(sorted(missing))}"
    )
    # A partition that holds something later holds everything of this commit that it will ever hold.
    waiting = [edge.chain.chain for edge in edges if not edge.passed and edge.highest <= first]
    if waiting or not edges:
        raise NotYetError(
            f"{counts}They aren't stored in this destination yet.",
            next_step=f"wait, take --latest, or an earlier moment: {_moment(commits, first - 1)}",
        )
    near = _segments(fetched, commit.written_ms)
    raise ProofError(
        f"{counts}The chains are complete, so the source or a sink lost them. They would be in {near}.",
        next_step=f"restore from another destination, or to the moment before: {_moment(commits, first - 1)}",
    )


def check_snapshot(collection: str, expected: int | None, found: int, edges: Sequence[Edge]) -> None:
    """The initial snapshot's rows are as many as the notification said; `expected` is None when it said
    nothing.
    """
    if found == (expected or 0):
        return
    if found < (expected or 0) and any(not edge.passed for edge in edges):
        raise NotYetError(
            f"{collection} has {found} of the {expected} rows that the initial snapshot read; the rest "
            "isn't stored in "
            "this destination yet.",
            next_step="wait until the sink has caught up",
        )
    raise ProofError(
        f"{collection} has {found} rows of the initial snapshot, which says it read {expected or 0}.",
        next_step="restore from another destination, or take a new snapshot",
    )


def check_base(collection: str, expected: int, found: int) -> None:
    """A base's segments have as many records of the table as its manifest says."""
    if found != expected:
        raise ProofError(
            f"{collection} has {found} records in the base, whose manifest says {expected}.",
            next_step="restore with --no-base, from the changes themselves; report it, this must not happen",
        )


def check_possible(
    collection: str, scanned: int | None, commits: Commits, last: int, edges: Sequence[Edge]
) -> None:
    """What the names of segments can already tell: whether as many records as must be there can be there.

    A range holds at most as many records as it has offsets. Raises what the count of the rows would, as far
    as that is known before a row is read.
    """
    if not edges:
        check_snapshot(collection, scanned, 0, ())
        check_counts(collection, commits, last, {}, (), ())
        return
    at_most = sum(piece.stop - piece.start for edge in edges for piece in edge.pieces)
    needed = (scanned or 0) + commits.total(collection, last)
    if needed <= at_most:
        return
    counts = (
        f"{collection} has at most {at_most} records up to the target in {len(edges)} partitions; the "
        f"initial snapshot and the transactions say {needed}."
    )
    if any(not edge.passed for edge in edges):
        raise NotYetError(
            f"{counts} The rest isn't stored in this destination yet.",
            next_step="wait until the sink has caught up, or take --latest",
        )
    raise ProofError(
        f"{counts} The chains that are stored are complete, so that of another partition is missing, or the "
        "source or a sink lost the rest.",
        next_step="restore from another destination, or see what is gone from this one: `replicator verify`",
    )


def first_deficit(
    commits: Commits, window: int, last: int, found: Mapping[str, Mapping[int, int]]
) -> int | None:
    """The first commit from number `window` to `last` of which a table lacks events; None when all are there.

    `found` has the events by table and xid of at least those commits.
    """
    first: int | None = None
    for collection, events in found.items():
        for xid, count in commits.expected(collection, last, window).items():
            if events.get(xid, 0) < count:
                number = min(n for n in commits.of_xid(xid) if window <= n <= last)
                first = number if first is None else min(first, number)
    return first


def _segments(fetched: Iterable[Fetched], written_ms: int) -> str:
    near = [
        one.piece.name.key()
        for one in fetched
        if (one.header.first_timestamp or 0) <= written_ms <= (one.header.last_timestamp or 0) + 10_000
    ]
    return ", ".join(near[:3]) or "no segment of that time"


def _others(xids: Sequence[int]) -> str:
    return f"{len(xids) - 1} more transactions differ as well. " if len(xids) > 1 else ""


def _moment(commits: Commits, number: int) -> str:
    return "the initial snapshot" if number == SNAPSHOT else f"--to-lsn {lsn_text(commits[number].end)}"
