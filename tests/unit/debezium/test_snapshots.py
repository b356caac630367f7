"""The initial snapshot, as notifications tell it."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.debezium import snapshots
from replicator.errors import IntegrityError, RefusedError


def note(kind: str, **more: str) -> dict[str, Any]:
    return {"aggregate_type": "Initial Snapshot", "type": kind, "timestamp": 7, "additional_data": more}


def scan(table: str, rows: int | None, status: str = "SUCCEEDED") -> dict[str, Any]:
    counted = {} if rows is None else {"total_rows_scanned": str(rows)}
    return note("TABLE_SCAN_COMPLETED", scanned_collection=table, status=status, **counted)


FAILED = scan("public.guests", None, "SQL_EXCEPTION")


def test_the_completed_attempt_counts() -> None:
    told = [note("STARTED"), scan("public.old", 9), FAILED, note("ABORTED")]
    told += [note("STARTED"), scan("public.guests", 2), scan("public.none", 0, "EMPTY"), note("COMPLETED")]
    found = snapshots.read(told)
    assert found == snapshots.Snapshot({"public.guests": 2, "public.none": 0}, attempts=2, completed_ms=7)


def test_none_is_complete_while_one_is_taken() -> None:
    assert snapshots.read([note("STARTED"), FAILED, note("ABORTED"), note("STARTED")]) is None


def test_a_scan_that_failed_in_the_completed_attempt_is_told() -> None:
    with pytest.raises(IntegrityError, match=r"public\.guests ended with SQL_EXCEPTION"):
        snapshots.read([note("STARTED"), FAILED, note("COMPLETED")])


def test_streaming_without_a_snapshot_is_refused_until_one_was_taken() -> None:
    without = [note("STARTED"), note("SKIPPED")]
    with pytest.raises(RefusedError, match="without an initial snapshot"):
        snapshots.read(without)
    assert snapshots.read([*without, note("STARTED"), note("COMPLETED")]) is not None


def test_a_restart_after_the_snapshot_skips_it_rightly() -> None:
    assert snapshots.read([note("STARTED"), note("COMPLETED"), note("SKIPPED")]) is not None
