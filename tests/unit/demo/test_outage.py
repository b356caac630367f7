"""What the demonstration counts of a takeover and chooses to harm: would it see a gap?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from demo.coverage import gap
from demo.damage import victims
from demo.evidence import Evidence
from demo.site import DemoError
from replicator.segment.name import SegmentName

PLACE = ("demo.public.guests", 0)


def segment(first: int, next_: int, partition: int = 0) -> SegmentName:
    return SegmentName(PLACE[0], "x" * 22, partition, first, next_, f"{first:016x}")


def test_a_standby_that_goes_on_where_the_failed_one_ended_leaves_no_gap() -> None:
    stored = [segment(90, 120), segment(120, 150)]
    assert gap({PLACE: 100}, {PLACE: 150}, stored) == 0


def test_offsets_before_the_first_segment_of_the_standby_are_a_gap() -> None:
    assert gap({PLACE: 100}, {PLACE: 150}, [segment(103, 150)]) == 3


def test_a_hole_inside_and_a_committed_end_that_is_not_stored_are_a_gap() -> None:
    assert gap({PLACE: 100}, {PLACE: 150}, [segment(100, 110), segment(112, 149)]) == 3


def test_a_partition_that_the_failed_one_never_committed_counts_from_its_beginning() -> None:
    assert gap({}, {PLACE: 20}, [segment(5, 20)]) == 5


def test_segments_of_another_partition_fill_nothing() -> None:
    assert gap({PLACE: 0}, {PLACE: 10}, [segment(0, 10, partition=1)]) == 10


def test_the_harmed_segments_are_inside_of_the_longest_chain_and_no_neighbours() -> None:
    short = [segment(n, n + 1, partition=1).key() for n in range(6)]
    long = [segment(n, n + 1).key() for n in range(9)]
    gone, bent = victims([*short, *reversed(long), "v1/changes/odd"])
    assert {gone.partition, bent.partition} == {0}
    assert 0 < gone.first < bent.first - 1 < bent.next - 1 < 8


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_segments_to_harm_are_said_so(count: int) -> None:
    with pytest.raises(DemoError, match=f"has {count} segments"):
        victims(segment(n, n + 1).key() for n in range(count))


def test_delays_are_told_apart_by_when_their_transaction_was_committed() -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    evidence = Evidence(delays=[(noon + timedelta(seconds=n), float(n)) for n in range(10)])
    chosen = evidence.percentiles_within(noon + timedelta(seconds=3), noon + timedelta(seconds=6))
    assert chosen == {"p50": 4.0, "p99": 5.0, "max": 5.0}
