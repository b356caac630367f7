"""Whether the initial snapshot stands at the LSN that its rows name.

It does where Debezium made the slot for it: PostgreSQL exported both together, and streaming goes on exactly
there. One that was begun again with the slot of an attempt before reads what is there now and asks for an LSN
by itself: what is committed in between is in the stream once more, or nowhere. So the snapshot says in a row
of the DDL log which transactions it shows, where its slot begins, and at which LSN it had locked all tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from replicator.debezium import snapshots, transactions
from replicator.debezium.envelope import lsn_text, parse_lsn
from replicator.debezium.snapshots import Snapshot
from replicator.debezium.transactions import Commits
from replicator.debezium.visible import Visible
from replicator.errors import RefusedError
from replicator.restore.moment.cut import SnapshotPoint
from replicator.restore.schema.ddl import DdlRow


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What the snapshot says of itself, in PostgreSQL's own texts."""

    shown: str
    locked: str
    slot: str | None


def check(snapshot: Snapshot, point: SnapshotPoint, ddl: Iterable[DdlRow], commits: Commits) -> None:
    """`RefusedError` when the snapshot shows more than what was committed at `point`, or may show less."""
    rows = list(ddl)
    told = [row for row in rows if row.commit == transactions.SNAPSHOT and row.lsn == point.lsn]
    stamps = {stamp for row in told if (stamp := _stamp(row.definition))}
    if len(stamps) > 1 or (not stamps and snapshot.attempts > 1):
        raise RefusedError(
            f"The initial snapshot was begun {snapshot.attempts} times, and what it shows can't be told from "
            f"what came after LSN {lsn_text(point.lsn)}.",
            next_step=snapshots.ANEW,
        )
    for stamp in stamps:
        _check_slot(stamp, point)
        _check_shown(Visible.parse(stamp.shown), point, commits)
        _check_rewritten(parse_lsn(stamp.locked), rows, commits)


def _check_slot(stamp: _Stamp, point: SnapshotPoint) -> None:
    if stamp.slot is None or parse_lsn(stamp.slot) != point.lsn:
        raise RefusedError(
            f"The initial snapshot names the LSN {lsn_text(point.lsn)}, and its slot begins at {stamp.slot}: "
            "Debezium began it again with the slot of an attempt before. What was committed meanwhile may be "
            "lacking.",
            next_step=snapshots.ANEW,
        )


def _check_shown(visible: Visible, point: SnapshotPoint, commits: Commits) -> None:
    twice = []
    for number in range(commits.first, len(commits) + 1):
        commit = commits[number]
        if visible.began_later(commit.xid):
            break
        if commit.end > point.lsn and visible.shows(commit.xid):
            twice.append(commit)
    if twice:
        raise RefusedError(
            f"The initial snapshot names the LSN {lsn_text(point.lsn)} and shows {len(twice)} transactions "
            f"that came later, to {twice[-1]}: Debezium began it again with the slot of an attempt before.",
            next_step=snapshots.ANEW,
        )


def _check_rewritten(locked: int, rows: Iterable[DdlRow], commits: Commits) -> None:
    for row in rows:
        if row.kind == "rewrite" and row.commit >= commits.first and commits[row.commit].end <= locked:
            raise RefusedError(
                f"{row.object_identity} was rewritten while the initial snapshot began, by "
                f"{commits[row.commit]}, and may have been empty for it.",
                next_step=snapshots.ANEW,
            )


def _stamp(definition: Mapping[str, Any] | None) -> _Stamp | None:
    if definition is None or not {"snapshot", "lsn", "slot"} <= definition.keys():
        return None
    return _Stamp(definition["snapshot"], definition["lsn"], definition["slot"])
