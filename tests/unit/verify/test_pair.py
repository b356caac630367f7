"""Two destinations compared, however each of them cut the same records."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ConfigError
from replicator.segment.container import Segment
from replicator.storage.memory import MemoryStore
from replicator.verify import pair
from replicator.verify.difference import Unlike
from replicator.verify.holdings import MARK
from replicator.verify.pair import PairReport
from tests.unit.verify.segments import CHAIN, OTHER, put, put_mark, segment

END = 60
cuts = st.lists(st.integers(1, END - 1), max_size=6).map(lambda found: [0, *sorted(set(found)), END])


def stored(*segments: Segment, mark: bool = True) -> MemoryStore:
    store = MemoryStore()
    if mark:
        put_mark(store)
    put(store, *segments)
    return store


def compared(first: MemoryStore, second: MemoryStore, *, deep: bool = True) -> PairReport:
    return pair.compare("first", first, "second", second, deep=deep, threads=2)


def cut(at: list[int], block: int, offsets: set[int], **changes: str) -> list[Segment]:
    return [
        segment(a, b, offsets=[o for o in range(a, b) if o in offsets], block=block, **changes)  # type: ignore[arg-type]
        for a, b in pairwise(at)
    ]


@given(cuts, cuts, st.integers(1, 9), st.integers(1, 9), st.sets(st.integers(0, END - 1)))
def test_the_same_records_are_equal_however_they_are_cut(
    ours: list[int], theirs: list[int], block_a: int, block_b: int, offsets: set[int]
) -> None:
    report = compared(stored(*cut(ours, block_a, offsets)), stored(*cut(theirs, block_b, offsets)))
    assert report.differences == []
    assert report.same_name + report.cut_differently == END
    assert not report.lag


@given(cuts, cuts, st.integers(1, 9), st.integers(1, 9), st.integers(0, END - 1), st.booleans())
def test_one_record_that_differs_is_found_at_its_offset(
    ours: list[int], theirs: list[int], block_a: int, block_b: int, at: int, gone: bool
) -> None:
    everything = set(range(END))
    other = cut(theirs, block_b, everything - {at} if gone else everything)
    if not gone:
        other = [
            each
            for a, b in pairwise(theirs)
            for each in (
                cut([a, b], block_b, everything)
                if not a <= at < b
                else [segment(a, at), segment(at, at + 1, name_of="Eve"), segment(at + 1, b)]
            )
            if each.name.first < each.name.next
        ]
    report = compared(stored(*cut(ours, block_a, everything)), stored(*other))
    [found] = report.differences
    assert (found.unlike, found.chain, found.first, found.next) == (Unlike.RECORDS, CHAIN, at, at + 1)
    assert ("only the first" in found.detail) == gone
    assert not report.equal


def test_equal_names_need_no_reading() -> None:
    first, second = stored(segment(0, 10), segment(10, 20)), stored(segment(0, 10), segment(10, 20))
    first.calls.clear()
    report = compared(first, second)
    assert (report.same_name, report.cut_differently, report.size) == (20, 0, 0)
    assert [key for operation, key in first.calls if operation == "get"] == [MARK]


def test_without_deep_what_is_cut_differently_is_only_counted() -> None:
    first = stored(segment(0, 20))
    second = stored(segment(0, 10), segment(10, 20, name_of="Eve"))
    report = compared(first, second, deep=False)
    assert (report.equal, report.cut_differently) == (True, 20)
    assert not compared(first, second).equal


def test_holes_are_differences_and_an_end_not_reached_is_lag() -> None:
    first = stored(segment(0, 10), segment(20, 30))
    second = stored(segment(5, 25))
    report = compared(first, second)
    assert [(each.unlike, each.first, each.next) for each in report.differences] == [
        (Unlike.ONLY_IN_FIRST, 0, 5),
        (Unlike.ONLY_IN_SECOND, 10, 20),
    ]
    assert report.lag == [("second", CHAIN, (25, 30))]
    assert (report.behind("first"), report.behind("second")) == (0, 5)


def test_a_chain_that_one_of_them_lacks_is_a_difference() -> None:
    report = compared(stored(segment(0, 10), segment(0, 4, OTHER)), stored(segment(0, 10)))
    assert [(each.unlike, each.chain) for each in report.differences] == [(Unlike.ONLY_IN_FIRST, OTHER)]


def test_lag_alone_is_no_difference() -> None:
    report = compared(stored(segment(0, 10)), stored(segment(0, 10), segment(10, 15)))
    assert report.equal
    assert report.behind("first") == 5


def test_a_damaged_segment_is_told_and_is_no_proof_of_anything() -> None:
    first = stored(segment(0, 10), segment(10, 20))
    second = stored(segment(0, 20))
    one = segment(10, 20)
    first.damage(one.name.key(), one.body[:-30])
    [found] = compared(first, second).differences
    assert found.unlike is Unlike.UNREADABLE
    assert one.name.key() in found.detail


def test_destinations_of_different_installations_are_not_compared() -> None:
    other = MemoryStore()
    put_mark(other, "another")
    with pytest.raises(ConfigError, match="'another'"):
        compared(stored(segment(0, 10)), other)
    damaged = stored(segment(0, 10), mark=False)
    damaged.put(MARK, b"{", sha256=hashlib.sha256(b"{").hexdigest())
    assert compared(stored(segment(0, 10)), damaged).equal
