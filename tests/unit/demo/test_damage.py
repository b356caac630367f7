"""Whether the demonstration can tell the damage that it did from damage that nobody did."""

from __future__ import annotations

from typing import Any

from demo.damage import judge
from replicator.segment.name import SegmentName

TOPIC = "demo.public.guests"
GONE = SegmentName(TOPIC, "x" * 22, 0, 40, 50, "a" * 16)
BENT = SegmentName(TOPIC, "x" * 22, 0, 80, 90, "b" * 16)
ALTERED = {"kind": "altered", "key": BENT.key(), "detail": "other bytes"}


def missing(first: int, next_: int, partition: int = 0) -> dict[str, Any]:
    detail = f"[{partition}] {first} to {next_}"
    place = {"topic": TOPIC, "partition": partition, "first": first, "next": next_}
    return {"kind": "missing", "key": None, "detail": detail, **place}


def test_what_was_deleted_and_altered_is_found_and_explained() -> None:
    found = judge([missing(40, 50), ALTERED, {"kind": "unknown"}], GONE, BENT, [])
    assert (found.both_found, found.forgotten, found.unexplained) == (True, 0, [])


def test_one_of_the_two_is_not_both() -> None:
    assert not judge([missing(40, 50)], GONE, BENT, []).both_found
    assert not judge([ALTERED], GONE, BENT, []).both_found


def test_what_the_stand_in_forgot_is_told_apart_even_beside_what_was_deleted() -> None:
    recent = [(TOPIC, 0, 50, 60), (TOPIC, 1, 0, 5), (TOPIC, 1, 5, 9)]
    found = judge([missing(40, 60), missing(2, 9, partition=1), ALTERED], GONE, BENT, recent)
    assert (found.both_found, found.forgotten, found.unexplained) == (True, 1, [])


def test_a_range_that_was_never_acknowledged_is_explained_by_nothing() -> None:
    found = judge([missing(40, 50), missing(0, 10, partition=1), ALTERED], GONE, BENT, [(TOPIC, 1, 0, 9)])
    assert found.unexplained == ["[1] 0 to 10"]


def test_another_altered_segment_is_explained_by_nothing() -> None:
    other = {"kind": "altered", "key": "another", "detail": "elsewhere"}
    assert judge([missing(40, 50), ALTERED, other], GONE, BENT, []).unexplained == ["elsewhere"]
