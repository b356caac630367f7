"""The arithmetic of ranges, against Python's sets of numbers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from replicator.segment.ranges import Ranges

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12)


def offsets(ranges: Ranges) -> set[int]:
    return {offset for first, stop in ranges for offset in range(first, stop)}


def members(pairs: list[tuple[int, int]]) -> set[int]:
    return {offset for first, stop in pairs for offset in range(first, stop)}


@given(spans)
def test_ranges_hold_what_their_spans_hold_in_the_fewest_spans(pairs: list[tuple[int, int]]) -> None:
    ranges = Ranges.of(pairs)
    assert offsets(ranges) == members(pairs)
    assert ranges.count == len(members(pairs))
    assert all(first < stop for first, stop in ranges)
    assert all(before.next < after.first for before, after in pairwise(ranges))
    assert all((offset in ranges) == (offset in members(pairs)) for offset in range(41))


@given(spans, spans)
def test_union_intersection_and_difference_are_those_of_sets(
    ours: list[tuple[int, int]], theirs: list[tuple[int, int]]
) -> None:
    a, b = Ranges.of(ours), Ranges.of(theirs)
    assert offsets(a | b) == members(ours) | members(theirs)
    assert offsets(a & b) == members(ours) & members(theirs)
    assert offsets(a - b) == members(ours) - members(theirs)
    for made in (a | b, a & b, a - b):
        assert made == Ranges.of(made.spans), "equal sets have equal ranges"


@given(spans)
def test_gaps_are_what_is_missing_between_the_first_and_the_last(pairs: list[tuple[int, int]]) -> None:
    ranges = Ranges.of(pairs)
    held = members(pairs)
    between = set(range(min(held), max(held))) if held else set()
    assert offsets(ranges.gaps) == between - held
    assert bool(ranges) == bool(held)


def test_ranges_are_told_with_both_ends_included() -> None:
    assert str(Ranges.of([(10, 20), (0, 5)])) == "0 to 4, 10 to 19"
    assert str(Ranges()) == "none"
