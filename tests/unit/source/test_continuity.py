from __future__ import annotations

from replicator.source.continuity import Slot, committed, hole


def slot(confirmed: int | None = 100, status: str = "reserved") -> Slot:
    return Slot(True, status, confirmed, 0, None)


def test_a_slot_that_begins_at_or_before_what_kafka_has_lost_nothing() -> None:
    assert hole(slot(100), 100) is None
    assert hole(slot(100), 5000) is None


def test_a_slot_that_begins_after_what_kafka_has_is_a_hole() -> None:
    assert "begins at 0/65, Kafka ends at 0/64" in str(hole(slot(101), 100))


def test_a_slot_that_is_gone_is_a_hole_once_something_was_captured() -> None:
    assert hole(None, None) is None
    assert "gone" in str(hole(None, (1 << 32) + 16))
    assert "1/10" in str(hole(None, (1 << 32) + 16))


def test_a_lost_slot_is_a_hole_whatever_was_captured() -> None:
    assert "max_slot_wal_keep_size" in str(hole(slot(status="lost"), None))


def test_what_is_committed_is_read_from_connects_answer() -> None:
    assert committed([]) is None
    assert committed([{"partition": {}, "offset": None}]) is None
    assert committed([{"offset": {"lsn": 7, "lsn_proc": 5}}]) == 5
    assert committed([{"offset": {"lsn": 7, "lsn_proc": None}}]) == 7


def test_an_interrupted_snapshot_has_committed_nothing_yet() -> None:
    assert committed([{"offset": {"lsn": 7, "snapshot": "INITIAL", "snapshot_completed": False}}]) is None
    assert committed([{"offset": {"lsn": 7, "snapshot": "INITIAL", "snapshot_completed": True}}]) == 7
