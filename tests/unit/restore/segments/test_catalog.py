from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import IntegrityError, RefusedError
from replicator.restore.segments import catalog
from replicator.segment.name import SegmentName
from replicator.storage.port import ObjectInfo

TOPIC_ID = "A" * 22


def info(first: int, stop: int, *, digest: str = "0" * 16, topic_id: str = TOPIC_ID) -> ObjectInfo:
    return ObjectInfo(SegmentName("i.public.t", topic_id, 0, first, stop, digest).key(), 10, None, None)


def pieces(*segments: ObjectInfo) -> list[tuple[int, int]]:
    [chain] = catalog.read(segments).topic("i.public.t")
    return [(piece.start, piece.stop) for piece in chain.pieces]


def test_neighbours_make_a_chain_in_any_order_of_listing() -> None:
    assert pieces(info(10, 20), info(0, 10), info(20, 21)) == [(0, 10), (10, 20), (20, 21)]


def test_overlaps_after_a_crash_give_each_offset_once() -> None:
    assert pieces(info(0, 10), info(5, 20), info(18, 30)) == [(0, 10), (10, 20), (20, 30)]


def test_a_segment_within_another_one_counts_there() -> None:
    [chain] = catalog.read(
        [info(0, 50), info(50, 60), info(10, 11), info(20, 30), info(25, 26), info(45, 55)]
    ).topic("i.public.t")
    found = [(piece.start, piece.stop, piece.name.first) for piece in chain.pieces]
    assert found == [
        (0, 10, 0),
        (10, 11, 10),
        (11, 20, 0),
        (20, 25, 20),
        (25, 26, 25),
        (26, 30, 20),
        (30, 50, 0),
        (50, 60, 50),
    ]


def test_a_segment_written_twice_with_other_bytes_counts_once() -> None:
    assert pieces(info(0, 10, digest="1" * 16), info(0, 10, digest="2" * 16)) == [(0, 10)]


def test_an_empty_range_holds_nothing_and_harms_nothing() -> None:
    assert pieces(info(0, 10), info(10, 10), info(10, 20)) == [(0, 10), (10, 20)]


def test_holes_are_kept_as_facts_the_first_one_included() -> None:
    [chain] = catalog.read([info(3, 10), info(12, 20)]).topic("i.public.t")
    assert [(hole.first, hole.next) for hole in chain.holes] == [(0, 3), (10, 12)]
    assert chain.first_hole_before(11) is not None
    assert str(chain.holes[1]) == "i.public.t[0] offsets 10 to 11"


def test_a_backward_range_is_damage() -> None:
    with pytest.raises(IntegrityError, match="backward"):
        catalog.read([info(10, 5)])


def test_two_incarnations_of_a_topic_are_refused_where_they_are_needed() -> None:
    found = catalog.read([info(0, 5), info(0, 7, topic_id="B" * 22)])
    with pytest.raises(RefusedError, match="2 incarnations"):
        found.topic("i.public.t")


def test_other_objects_are_told_and_never_read() -> None:
    found = catalog.read([info(0, 5), ObjectInfo("v1/changes/readme.txt", 1, None, None)])
    assert found.unknown == ("v1/changes/readme.txt",)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), min_size=1))
def test_pieces_and_holes_cover_every_offset_once(ranges: list[tuple[int, int]]) -> None:
    listing = [info(first, first + length, digest=f"{i:016x}") for i, (first, length) in enumerate(ranges)]
    [chain] = catalog.read(listing).topic("i.public.t")
    taken = sorted(offset for piece in chain.pieces for offset in range(piece.start, piece.stop))
    missing = sorted(offset for hole in chain.holes for offset in range(hole.first, hole.next))
    held = {offset for first, length in ranges for offset in range(first, first + length)}
    assert taken == sorted(held)
    assert len(taken) == len(set(taken))
    assert not held & set(missing)
    for piece in chain.pieces:
        assert piece.name.first <= piece.start < piece.stop <= piece.name.next
    for first, length in ranges:
        within = [p.name for p in chain.pieces if p.start < first + length and first < p.stop]
        wider = [
            n for n in within if n.first <= first and first + length <= n.next and n.next - n.first > length
        ]
        assert not (length and wider), "a segment within another one's range doesn't count there"
    if held:
        assert set(range(max(held))) <= held | set(missing)
