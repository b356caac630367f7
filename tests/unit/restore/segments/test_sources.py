"""Several destinations as one: who is read, who stands in, and that no offset is read twice or lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.errors import IntegrityError, ReplicatorError
from replicator.restore.moment.edges import first_record
from replicator.restore.segments import catalog
from replicator.restore.segments.fetch import Fetched, Fetcher
from replicator.restore.segments.sources import Sources
from replicator.segment import read
from replicator.segment.container import LeftOut, Segment
from replicator.segment.name import CHANGES
from replicator.segment.pieces import Piece
from replicator.storage import ErrorKind, StorageError
from replicator.storage.memory import MemoryStore
from tests.unit.verify.segments import CHAIN, put, segment


def stored(*segments: Segment) -> MemoryStore:
    store = MemoryStore()
    put(store, *segments)
    return store


def short(store: MemoryStore, one: Segment) -> None:
    store.damage(one.name.key(), one.body[: len(one.body) // 2])


def pieces_of(found: catalog.Catalog) -> list[Piece]:
    return [piece for chain in found for piece in chain.pieces]


@contextmanager
def fetching(*stores: MemoryStore) -> Iterator[tuple[Sources, Fetcher, list[Piece]]]:
    sources = Sources([(f"s{number}", store) for number, store in enumerate(stores, 1)])
    pieces = pieces_of(sources.catalog())
    with TemporaryDirectory() as folder:
        fetcher = Fetcher(sources, Path(folder), 2)
        try:
            yield sources, fetcher, pieces
        finally:
            fetcher.close()


def offsets(fetched: Sequence[Fetched]) -> list[int]:
    """As a restore reads them: of each piece the records that lie in it."""
    return [
        record["offset"]
        for one in fetched
        for record in read.records(bytes(one.content(bytearray(one.size))))
        if one.piece.start <= record["offset"] < one.piece.stop
    ]


def test_the_evidence_is_what_was_used_and_from_whom() -> None:
    """What was asked for first and is damaged isn't in it; what stood in is, with the offsets taken."""
    whole, damaged = segment(0, 10), segment(10, 20)
    first, second = stored(whole, damaged), stored(whole, segment(5, 15), segment(15, 30))
    short(first, damaged)
    with fetching(first, second) as (sources, fetcher, pieces):
        fetcher.fetch(pieces[:2])
        evidence = [(name.first, body.source, str(taken)) for name, body, taken in sources.evidence()]
        assert evidence == [(0, "s1", "0 to 9"), (5, "s2", "10 to 14"), (15, "s2", "15 to 19")]
        assert all(body.sha256.startswith(name.sha256_16) for name, body, _ in sources.evidence())


def test_the_first_source_is_read_and_the_others_where_it_has_holes() -> None:
    first = stored(segment(0, 10), segment(20, 30))
    second = stored(segment(0, 15), segment(15, 40))
    with fetching(first, second) as (sources, fetcher, pieces):
        assert [(each.name.first, each.start, each.stop) for each in pieces] == [
            (0, 0, 10),
            (0, 10, 15),
            (15, 15, 20),
            (20, 20, 30),
            (15, 30, 40),
        ]
        assert offsets(fetcher.fetch(pieces)) == list(range(40))
        assert sources.replaced == []
        assert (sources.shares["s1"].segments, sources.shares["s2"].segments) == (2, 2)


def test_a_segment_that_both_have_comes_from_the_first() -> None:
    both = [segment(0, 10), segment(10, 20)]
    with fetching(stored(*both), stored(*both)) as (sources, fetcher, pieces):
        planned = sources.planned(pieces)
        assert (planned["s1"].segments, planned["s2"].segments) == (2, 0)
        fetcher.fetch(pieces)
        assert (sources.shares["s1"].segments, sources.shares["s2"].segments) == (2, 0)


def test_a_damaged_segment_comes_from_the_next_source_that_has_it() -> None:
    both = [segment(0, 10), segment(10, 20)]
    first, second = stored(*both), stored(*both)
    short(first, both[1])
    with fetching(first, second) as (sources, fetcher, pieces):
        assert offsets(fetcher.fetch(pieces)) == list(range(20))
        assert sources.shares["s2"].segments == 1
        assert len(sources.replaced) == 1
        assert both[1].name.key() in sources.replaced[0]


def test_a_damaged_segment_is_replaced_by_others_that_were_cut_elsewhere() -> None:
    one = segment(10, 20)
    first = stored(segment(0, 10), one, segment(20, 30))
    second = stored(segment(0, 13), segment(13, 16), segment(16, 30))
    short(first, one)
    with fetching(first, second) as (sources, fetcher, pieces):
        fetched = fetcher.fetch(pieces)
        assert offsets(fetched) == list(range(30))
        assert [(each.piece.start, each.piece.stop) for each in fetched] == [
            (0, 10),
            (10, 13),
            (13, 16),
            (16, 20),
            (20, 30),
        ]
        assert "Read instead" in sources.replaced[-1]


def test_what_nobody_has_whole_is_refused_by_its_name() -> None:
    one = segment(10, 20)
    first, second = stored(segment(0, 10), one), stored(segment(0, 15))
    short(first, one)
    with (
        fetching(first, second) as (_, fetcher, pieces),
        pytest.raises(IntegrityError, match="damaged") as told,
    ):
        fetcher.fetch(pieces)
    assert one.name.key() in str(told.value)


def test_a_single_source_says_itself_what_is_wrong() -> None:
    store = stored(segment(0, 10), segment(10, 20))
    short(store, segment(10, 20))
    with fetching(store) as (sources, fetcher, pieces):
        for _ in range(2):
            with pytest.raises(IntegrityError, match="its bytes hash to"):
                fetcher.fetch(pieces)
        store.damage(segment(10, 20).name.key(), segment(10, 20).body)
        store.fail("get", StorageError("down", kind=ErrorKind.TRANSIENT))
        with pytest.raises(StorageError, match="down"):
            fetcher.fetch(pieces[1:])
        assert offsets(fetcher.fetch(pieces)) == list(range(20)), "it is asked again"
        assert sources.shares["s1"].failed is None


def test_a_source_that_stops_to_answer_is_replaced_and_not_asked_again() -> None:
    first = stored(*(segment(at, at + 10) for at in range(0, 100, 10)))
    second = stored(segment(0, 45), segment(45, 100))
    with fetching(first, second) as (sources, fetcher, pieces):
        assert offsets(fetcher.fetch(pieces[:3])) == list(range(30))
        first.fail("get", StorageError("the line is cut", kind=ErrorKind.TRANSIENT), times=1000)
        assert offsets(fetcher.fetch(pieces[3:])) == list(range(30, 100))
        asked = len(first.calls)
        assert offsets(fetcher.fetch(pieces[3:])) == list(range(30, 100))
        assert len(first.calls) == asked
        assert sources.shares["s1"].failed == "the line is cut"


def test_a_damage_that_nobody_can_stand_in_for_is_told_with_who_does_not_answer() -> None:
    one = segment(0, 10)
    first, second = stored(one), stored(one)
    short(second, one)
    first.fail("list", StorageError("the line is cut", kind=ErrorKind.TRANSIENT))
    with (
        fetching(first, second) as (_, fetcher, pieces),
        pytest.raises(IntegrityError, match=r"damaged.*failed before: s1: the line is cut"),
    ):
        fetcher.fetch(pieces)


def test_a_source_that_cannot_be_listed_is_left_out_and_all_of_them_are_an_error() -> None:
    first, second = stored(segment(0, 10)), stored(segment(0, 10))
    first.fail("list", StorageError("no bucket", kind=ErrorKind.FATAL), times=2)
    with fetching(first, second) as (sources, fetcher, pieces):
        assert offsets(fetcher.fetch(pieces)) == list(range(10))
        assert sources.shares["s1"].failed == "no bucket"
    second.fail("list", StorageError("no bucket", kind=ErrorKind.FATAL))
    with pytest.raises(StorageError, match="no bucket"):
        Sources([("s1", first), ("s2", second)]).catalog()


def test_what_a_segment_leaves_out_is_read_from_another_and_only_that() -> None:
    gap = segment(0, 20, offsets=[*range(5), *range(8, 20)], left_out=(LeftOut(5, 8, "dead letter"),))
    with fetching(stored(gap), stored(segment(0, 6), segment(6, 20))) as (_, fetcher, pieces):
        fetched = fetcher.fetch(pieces)
        assert offsets(fetched) == list(range(20))
        assert [(each.piece.start, each.piece.stop) for each in fetched] == [(0, 5), (5, 6), (6, 8), (8, 20)]
    with (
        fetching(stored(gap)) as (_, fetcher, pieces),
        pytest.raises(IntegrityError, match="leaves out offsets 5 to 7"),
    ):
        fetcher.fetch(pieces)


def test_a_first_record_is_found_though_the_copy_at_hand_is_damaged() -> None:
    one = segment(0, 20)
    first, second = stored(one), stored(segment(0, 5, offsets=[]), segment(5, 20))
    for damage in (one.body[:40], one.body[: len(one.body) // 2], b""):
        first.damage(one.name.key(), damage)
        with fetching(first, second) as (_, fetcher, pieces):
            record = first_record(fetcher, pieces[0])
            assert record is not None
            assert record.offset == 5, "what stands in has no record before"


def test_no_altered_byte_of_a_beginning_keeps_another_source_from_being_asked() -> None:
    """A schema's text that was altered is no refusal: nothing has vouched for it yet."""
    one = segment(0, 20)
    first, second = stored(one), stored(segment(0, 5, offsets=[]), segment(5, 20))
    for at in range(len(one.body)):
        altered = bytearray(one.body)
        altered[at] ^= 1
        first.damage(one.name.key(), bytes(altered))
        with fetching(first, second) as (_, fetcher, [piece, *_]):
            record = first_record(fetcher, piece)
        # What was altered and can be read all the same is found by counting.
        assert record is not None, f"byte {at}"


def test_a_first_record_lies_inside_its_piece() -> None:
    with fetching(stored(segment(0, 20, offsets=[12, 13]))) as (_, fetcher, [piece]):
        found = first_record(fetcher, Piece(piece.name, piece.size, 0, 12))
        assert found is None
        found = first_record(fetcher, Piece(piece.name, piece.size, 13, 20))
        assert found is not None
        assert found.offset == 13


cuts = st.lists(st.integers(1, 39), max_size=5).map(lambda found: [0, *sorted(set(found)), 40])
fates = st.sampled_from(["whole", "whole", "short", "gone late", "gone early"])


@settings(max_examples=80, deadline=None)
@given(st.data(), st.lists(cuts, min_size=1, max_size=3))
def test_every_offset_is_read_once_if_any_source_has_it_and_else_the_read_is_refused(
    data: st.DataObject, at: list[list[int]]
) -> None:
    stores: list[MemoryStore] = []
    late: list[tuple[MemoryStore, Segment]] = []
    whole: set[int] = set()
    listed: set[int] = set()
    for cut in at:
        store = stored(*(segment(a, b) for a, b in pairwise(cut)))
        for a, b in pairwise(cut):
            one = segment(a, b)
            fate = data.draw(fates, label=f"{len(stores)}: {a}-{b}")
            listed |= set(range(a, b)) if fate != "gone early" else set()
            if fate == "whole":
                whole |= set(range(a, b))
            elif fate == "short":
                short(store, one)
            elif fate == "gone early":
                store.delete(one.name.key())
            else:
                late.append((store, one))
        stores.append(store)
    with fetching(*stores) as (_, fetcher, pieces):
        assert {offset for piece in pieces for offset in range(piece.start, piece.stop)} == listed
        for store, one in late:
            store.delete(one.name.key())
        if listed <= whole:
            assert offsets(fetcher.fetch(pieces)) == sorted(listed)
        else:
            with pytest.raises(ReplicatorError):
                fetcher.fetch(pieces)


def test_a_catalog_of_one_listing_is_what_it_was() -> None:
    store = stored(segment(0, 10), segment(12, 20))
    [chain] = catalog.read(store.list(CHANGES))
    assert chain.chain == CHAIN
    assert [(hole.first, hole.next) for hole in chain.holes] == [(10, 12)]
