"""A snapshot that shows more, or less, than what was committed at its LSN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.debezium.snapshots import Snapshot
from replicator.debezium.transactions import Commits
from replicator.errors import RefusedError
from replicator.restore.moment import standing
from replicator.restore.moment.cut import SnapshotPoint
from replicator.restore.schema.ddl import DdlRow

POINT = SnapshotPoint(0x100, 7)
ONCE, TWICE = Snapshot({}, 1, 7), Snapshot({}, 2, 7)


def commits(*xids: int) -> Commits:
    found = Commits()
    for number, xid in enumerate(xids, 1):
        lsn = 0x100 + 0x10 * number
        found.add(f"{xid}:{lsn - 8}", f"{xid}:{lsn}", 1, 1, {})
    return found


def row(commit: int, kind: str, definition: dict[str, Any] | None = None, lsn: int = 0x100) -> DdlRow:
    return DdlRow(
        id=1,
        commit=commit,
        kind=kind,
        statement=1,
        tag=None,
        object_type="table",
        schema_name="public",
        object_identity="public.guests",
        query=None,
        search_path=None,
        definition=definition,
        dump=None,
        oid=1,
        lsn=lsn,
    )


def stamped(snapshot: str, lsn: str = "0/108", slot: str | None = "0/100") -> DdlRow:
    return row(0, "dump", {"tables": [], "snapshot": snapshot, "lsn": lsn, "slot": slot})


def test_what_was_running_or_later_is_in_the_stream_alone() -> None:
    standing.check(TWICE, POINT, [stamped("50:60:50,55")], commits(55, 50, 60, 61, 40))


def test_a_transaction_that_both_have_is_refused_with_its_name() -> None:
    with pytest.raises(
        RefusedError, match=r"shows 2 transactions that came later, to transaction 57"
    ) as caught:
        standing.check(ONCE, POINT, [stamped("50:60:50,55")], commits(50, 56, 57, 60))
    assert "connect remove --purge" in str(caught.value.next_step)


@pytest.mark.parametrize("slot", ["0/F8", None])
def test_a_snapshot_that_does_not_stand_where_its_slot_begins_is_refused(slot: str | None) -> None:
    with pytest.raises(RefusedError, match="What was committed meanwhile may be lacking"):
        standing.check(ONCE, POINT, [stamped("50:50:", slot=slot)], commits(60))


def test_a_table_that_was_rewritten_before_the_snapshot_had_it_is_refused() -> None:
    rewritten = row(1, "rewrite", lsn=0x10C)
    standing.check(ONCE, POINT, [stamped("50:50:", "0/109"), rewritten], commits(50))
    with pytest.raises(RefusedError, match=r"public\.guests was rewritten while the initial snapshot began"):
        standing.check(ONCE, POINT, [stamped("50:50:", "0/110"), rewritten], commits(50))


def test_two_attempts_of_one_lsn_cannot_be_told_apart() -> None:
    with pytest.raises(RefusedError, match="begun 2 times"):
        standing.check(TWICE, POINT, [stamped("50:50:"), stamped("51:51:")], commits(60))


def test_without_a_word_of_it_only_a_snapshot_that_was_begun_once_is_believed() -> None:
    plain = row(0, "dump", {"tables": []})
    standing.check(ONCE, POINT, [plain], commits(40))
    with pytest.raises(RefusedError, match="begun 2 times"):
        standing.check(TWICE, POINT, [plain], commits(40))
    of_another_attempt = replace(stamped("1:1:"), lsn=0x90)
    standing.check(ONCE, POINT, [of_another_attempt, plain], commits(40))
