"""Moments that somebody named at the source, by `SELECT replicator.mark('before the migration')`.

A mark stands for the transaction that set it: a restore to it includes that transaction and everything
committed before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from replicator.bases import Manifest
from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import SNAPSHOT, Commits
from replicator.errors import RefusedError
from replicator.restore.moment import proof
from replicator.restore.moment.cut import ToMark, time_text
from replicator.restore.moment.events import MARKS
from replicator.restore.moment.history import Topics

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Marked:
    """One mark. `number` is its commit's, 0 for one that is older than the initial snapshot; `micros` is the
    time of that commit, to the millisecond.
    """

    name: str
    number: int
    xid: int
    lsn: int
    micros: int

    def __str__(self) -> str:
        if self.number == SNAPSHOT:
            return f"{self.name!r}, set before the initial snapshot"
        return f"{self.name!r} at {time_text(self.micros)}, --to-xid {self.xid}"

    def as_json(self) -> dict[str, object]:
        """For scripts; `xid`, `lsn` and `time` are null for one that is older than the initial snapshot."""
        old = self.number == SNAPSHOT
        return {
            "name": self.name,
            "xid": None if old else self.xid,
            "lsn": None if old else lsn_text(self.lsn),
            "time": None if old else time_text(self.micros),
        }


def read(
    topics: Topics, commits: Commits, base: Manifest | None = None, last: int | None = None
) -> tuple[Marked, ...]:
    """All marks up to a commit (all of them by default) in commit order, those that the base knows first.

    There are none where the source's schema is older than marks.

    `HoleError`, `NotYetError` or `ProofError` when the transactions say that there are more: one that isn't
    read might have the same name.
    """
    last = len(commits) if last is None else last
    found = []
    for number, row, _ in topics.changes(MARKS, commits, needed=False):
        if number > last or (base is not None and number <= base.commit):
            continue  # the base says what was before it
        if number == SNAPSHOT:
            found.append(Marked(row["name"], SNAPSHOT, 0, 0, 0))
        else:
            commit = commits[number]
            found.append(Marked(row["name"], number, commit.xid, commit.end, commit.committed_ms * 1000))
    counted = Counter(mark.xid for mark in found if mark.number != SNAPSHOT)
    proof.check_counts(MARKS, commits, last, counted, (), ())
    known = () if base is None else tuple(Marked(**asdict(mark)) for mark in base.marks or ())
    return (*known, *sorted(found, key=lambda mark: mark.number))


def resolve(marks: Sequence[Marked], target: ToMark) -> ToMark:
    """The target with its commit's number.

    `RefusedError` when no mark has the name, when several have it, or when it is older than the snapshot.
    Pure.
    """
    named = [mark for mark in marks if mark.name == target.name]
    if not named:
        raise RefusedError(
            f"There is no mark {target.name!r}. {_known(marks)}.",
            next_step="see `replicator points`; one that was set just now takes a moment to arrive",
        )
    # Within one transaction it is one moment, however often it was named.
    if len({mark.number for mark in named}) > 1:
        raise RefusedError(
            f"{len(named)} moments have the name {target.name!r}: " + "; ".join(map(str, named)) + ".",
            next_step=f"name the one that is meant by its transaction: --to-xid {named[-1].xid}",
        )
    if named[0].number == SNAPSHOT:
        raise RefusedError(
            f"The mark {target.name!r} was set before the initial snapshot, with which the history begins.",
            next_step="`replicator points` shows what is possible",
        )
    return replace(target, number=named[0].number)


def _known(marks: Sequence[Marked]) -> str:
    if not marks:
        return "None was ever set; `SELECT replicator.mark('name')` at the source sets one"
    more = f", and {len(marks) - _LISTED} older ones" if len(marks) > _LISTED else ""
    return "There are " + "; ".join(str(mark) for mark in marks[: -_LISTED - 1 : -1]) + more
