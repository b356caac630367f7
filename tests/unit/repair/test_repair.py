"""Repairs of real segments between stores, ended at every call to a store there is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.errors import ConfigError
from replicator.repair import RepairReport, copy_missing, repair
from replicator.segment.container import Segment
from replicator.segment.name import CHANGES, SegmentName
from replicator.segment.ranges import Ranges
from replicator.storage.memory import MemoryStore
from replicator.verify import Depth, Options, Report, holdings, verify
from replicator.verify.holdings import DAMAGED, MARK, ROOT
from replicator.verify.pair import compare
from tests.unit.verify.segments import CHAIN, OTHER, put, put_mark, segment

DEEP = Options(Depth.BYTES, threads=1)


def stored(*segments: Segment, mark: bool = True) -> MemoryStore:
    store = MemoryStore()
    if mark:
        put_mark(store)
    put(store, *segments)
    return store


def short(store: MemoryStore, one: Segment) -> None:
    store.damage(one.name.key(), one.body[: len(one.body) * 2 // 3])


def keys(store: MemoryStore, prefix: str = CHANGES) -> list[str]:
    return [info.key for info in store.list(prefix)]


def mend(target: MemoryStore, *sources: MemoryStore, **options: Any) -> RepairReport:
    found = verify(target, "target", DEEP).findings
    named = [(f"source {number}", store) for number, store in enumerate(sources, 1)]
    return repair("target", target, named, found, threads=1, **options)


def verified(store: MemoryStore) -> Report:
    return verify(store, "target", DEEP)


def test_a_segment_that_is_gone_is_copied() -> None:
    target, source = stored(segment(0, 10), segment(20, 30)), stored(segment(0, 10), segment(10, 20))
    report = mend(target, source)
    assert report.whole
    assert (report.copied, report.by_source) == (1, {"source 1": 1})
    assert verified(target).findings == []
    assert keys(target, DAMAGED) == []


def test_a_damaged_segment_is_replaced_and_the_damaged_one_is_kept() -> None:
    one = segment(10, 20)
    target, source = stored(segment(0, 10), one), stored(one)
    short(target, one)
    damaged = target.get(one.name.key())
    report = mend(target, source)
    assert (report.replaced, report.whole) == (1, True)
    assert target.get(one.name.key()) == one.body
    [kept] = keys(target, DAMAGED)
    assert target.get(kept) == damaged
    assert verified(target).findings == [], "what is kept aside is no strange object"


def test_a_damaged_segment_that_others_cut_differently_gives_way_to_whole_segments_that_cover_it() -> None:
    one = segment(10, 20)
    target = stored(segment(0, 10), one, segment(20, 30))
    source = stored(segment(0, 15), segment(15, 40))
    short(target, one)
    report = mend(target, source)
    assert (report.copied, report.replaced, report.removed, report.whole) == (2, 0, 1, True)
    assert one.name.key() not in keys(target)
    assert len(keys(target, DAMAGED)) == 1
    assert verified(target).findings == []


def test_a_damaged_segment_whose_range_others_cover_is_only_taken_out() -> None:
    one = segment(10, 20)
    target = stored(segment(0, 15), one, segment(14, 30))
    short(target, one)
    report = mend(target, stored(segment(0, 5)))
    assert (report.copied, report.removed, report.whole) == (0, 1, True)
    assert verified(target).findings == []


def test_what_no_source_has_is_told_and_the_damaged_one_stays() -> None:
    one = segment(10, 20)
    target = stored(segment(0, 10), one)
    short(target, one)
    report = mend(target, stored(segment(0, 15)))
    assert [(each.first, each.next) for each in report.lost] == [(15, 20)]
    assert not report.whole
    assert one.name.key() in keys(target), "a part of it may still be read by hand"
    assert holdings.read(target.list(ROOT)).ranges(CHAIN) == Ranges.of([(0, 20)])


def test_a_damaged_source_is_left_for_the_next_one() -> None:
    one = segment(10, 20)
    target, bad, good = (
        stored(segment(0, 10), segment(20, 25)),
        stored(one),
        stored(segment(10, 14), segment(14, 20)),
    )
    short(bad, one)
    report = mend(target, bad, good)
    assert report.whole
    assert report.by_source == {"source 2": 2}
    assert len(report.damaged_sources) == 1
    assert verified(target).findings == []


def test_a_source_that_has_other_bytes_under_the_name_harms_nothing() -> None:
    one = segment(10, 20)
    target, source = stored(segment(0, 10), one), stored(one)
    short(target, one)
    source.damage(one.name.key(), segment(10, 20, name_of="Eve").body)
    report = mend(target, source)
    assert not report.whole
    assert [(each.first, each.next) for each in report.lost] == [(10, 20)]


def test_a_chain_or_a_beginning_that_is_lacking_is_copied_and_an_end_is_left_to_the_sink() -> None:
    source = stored(segment(0, 10), segment(10, 20), segment(20, 30), segment(0, 4, OTHER))
    target = stored(segment(10, 20))
    report = mend(target, source)
    assert (report.copied, report.whole) == (2, True)
    held = holdings.read(target.list(ROOT))
    assert (held.ranges(CHAIN), held.ranges(OTHER)) == (Ranges.of([(0, 20)]), Ranges.of([(0, 4)]))
    assert mend(target, source, complete=True).copied == 1
    assert compare("a", target, "b", source, deep=True).behind("a") == 0


def test_a_hole_that_is_in_no_source_is_told_when_what_lies_behind_it_is_copied() -> None:
    target, source = stored(segment(0, 10)), stored(segment(0, 5), segment(20, 30))
    assert mend(target, source).whole, "the end is left to the sink, so there is no hole"
    report = mend(target, source, complete=True)
    assert [(each.first, each.next) for each in report.lost] == [(10, 20)]
    assert holdings.read(target.list(ROOT)).ranges(CHAIN) == Ranges.of([(0, 10), (20, 30)])


def test_a_mark_and_schemas_come_along() -> None:
    source, target = stored(segment(0, 10)), stored(segment(0, 10), mark=False)
    source.put("v1/schemas/7.json", b"{}", sha256=hashlib.sha256(b"{}").hexdigest())
    source.put("v1/probe/x", b"{}", sha256=hashlib.sha256(b"{}").hexdigest())
    assert mend(target, source).others == 2
    assert keys(target, ROOT)[-2:] == [MARK, "v1/schemas/7.json"]
    target.damage(MARK, b"{")
    assert mend(target, source).whole
    assert target.get(MARK) == source.get(MARK)
    assert verified(target).findings == []


def test_a_dry_run_touches_nothing() -> None:
    one = segment(10, 20)
    target, source = stored(segment(0, 10), one, segment(25, 30)), stored(segment(5, 40))
    short(target, one)
    before = {key: target.get(key) for key in keys(target, "")}
    report = mend(target, source, dry_run=True)
    assert len(report.steps) == 2
    assert {key: target.get(key) for key in keys(target, "")} == before
    assert report.whole


def test_another_installation_is_no_source() -> None:
    source = MemoryStore()
    put_mark(source, "another")
    with pytest.raises(ConfigError, match="'another'"):
        mend(stored(segment(0, 10)), source)


def test_findings_that_are_not_true_any_more_do_no_harm() -> None:
    one = segment(10, 20)
    target, source = stored(segment(0, 10), one), stored(one)
    short(target, one)
    found = verify(target, "target", DEEP).findings
    target.damage(one.name.key(), one.body)
    report = repair("target", target, [("source", source)], found, threads=1)
    assert (report.sound, report.replaced, keys(target, DAMAGED)) == (1, 0, [])


class Killed(BaseException):
    """The process is gone: nobody catches it."""


def dying(store: MemoryStore, calls: int, *, after: bool) -> None:
    """From now on the store's call of that number is the last thing that the process does."""
    left = [calls]

    def dies(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*positional: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Killed
            result = method(*positional, **named)
            if left[0] == 0:
                raise Killed
            return result

        return call

    for name in ("put", "get", "head", "list", "delete"):
        setattr(store, name, dies(getattr(MemoryStore, name).__get__(store)))


def revive(store: MemoryStore) -> None:
    for name in ("put", "get", "head", "list", "delete"):
        setattr(store, name, getattr(MemoryStore, name).__get__(store))


def readable(store: MemoryStore) -> Ranges:
    """The offsets that sound segments hold."""
    sound = []
    for key in keys(store):
        name = SegmentName.parse(key)
        assert name is not None
        if hashlib.sha256(store.get(key)).hexdigest().startswith(name.sha256_16):
            sound.append((name.first, name.next))
    return Ranges.of(sound)


@pytest.mark.parametrize("after", [False, True])
def test_a_repair_that_is_killed_at_any_call_loses_nothing_and_is_finished_by_the_next(after: bool) -> None:
    same, other = segment(10, 20), segment(20, 30)
    source = stored(segment(0, 10), same, segment(20, 25), segment(25, 40), segment(40, 50))
    calls = 0
    while True:
        calls += 1
        target = stored(segment(0, 10), same, other, segment(30, 40), segment(50, 60))
        short(target, same)
        short(target, other)
        before = readable(target)
        found = verify(target, "target", DEEP).findings
        dying(target, calls, after=after)
        try:
            repair("target", target, [("source", source)], found, threads=1)
            break
        except Killed:
            revive(target)
        assert not before - readable(target), f"killed at call {calls}: something that was readable is gone"
        assert mend(target, source).whole, f"killed at call {calls}"
        assert verified(target).findings == [], f"killed at call {calls}"
        assert len(keys(target, DAMAGED)) == 2, f"killed at call {calls}: both damaged ones are kept, once"
        assert not compare("a", target, "b", source, deep=True).lag[1:]
    assert calls > 15


cuts = st.lists(st.integers(1, 39), max_size=5).map(lambda found: [0, *sorted(set(found)), 40])


@settings(max_examples=60, deadline=None)
@given(st.data(), cuts, cuts, cuts)
def test_whatever_is_lost_or_damaged_comes_back_if_any_source_has_it(
    data: st.DataObject, ours: list[int], first: list[int], second: list[int]
) -> None:
    def cut(at: Sequence[int]) -> list[Segment]:
        return [segment(a, b) for a, b in pairwise(at)]

    stores = [stored(*cut(at)) for at in (ours, first, second)]
    intact = Ranges()
    for number, (store, at) in enumerate(zip(stores, (ours, first, second), strict=True)):
        kept = []
        for one in cut(at):
            fate = data.draw(st.sampled_from(["kept", "kept", "short", "gone"]), label=f"store {number}")
            if fate == "short":
                short(store, one)
            elif fate == "gone":
                store.delete(one.name.key())
            else:
                kept.append((one.name.first, one.name.next))
        intact |= Ranges.of(kept)
    target = stores[0]
    report = mend(target, *stores[1:], complete=True)
    assert readable(target) == intact
    lost = Ranges.of((each.first, each.next) for each in report.lost)
    assert not lost & intact
    if report.whole:
        assert not verified(target).damaged


def test_a_standby_is_made_complete() -> None:
    source = stored(segment(0, 10), segment(10, 20), segment(20, 30), segment(0, 4, OTHER))
    target = MemoryStore()
    told: list[SegmentName] = []
    result = copy_missing(source, target, copied=lambda name, size: told.append(name))
    assert (result.segments, result.complete, result.others) == (4, True, 1)
    assert len(told) == 4
    assert compare("a", source, "b", target).equal
    assert copy_missing(source, target).segments == 0


def test_a_standby_gets_only_the_ranges_that_it_is_to_have() -> None:
    source = stored(segment(0, 10), segment(10, 20), segment(20, 30), segment(0, 4, OTHER))
    target = stored(segment(0, 12))
    result = copy_missing(source, target, {CHAIN: Ranges.of([(0, 20)])})
    assert (result.segments, result.complete) == (1, True)
    assert holdings.read(target.list(ROOT)).ranges(CHAIN) == Ranges.of([(0, 20)])


def test_a_source_that_is_damaged_leaves_a_standby_incomplete_and_says_where() -> None:
    one = segment(10, 20)
    source = stored(segment(0, 10), one, segment(20, 30), segment(18, 25))
    short(source, one)
    target = MemoryStore()
    result = copy_missing(source, target)
    assert [(each.first, each.next) for each in result.lost] == [(10, 18)]
    assert holdings.read(target.list(ROOT)).ranges(CHAIN) == Ranges.of([(0, 10), (18, 30)])
    assert len(result.damaged) == 1
