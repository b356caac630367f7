"""What retention would remove, from listings and manifests alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from replicator.bases import BaseChain, BaseSegment, Manifest, stored
from replicator.bases.manifest import base_id
from replicator.bases.stored import ForgedBaseError
from replicator.config import Control
from replicator.errors import IntegrityError
from replicator.points import Keys
from replicator.retention.plan import floor_of, plan
from replicator.segment.name import Chain, SegmentName, folded_root
from replicator.segment.ranges import Ranges
from replicator.storage import ObjectInfo
from replicator.storage.memory import MemoryStore
from replicator.verify.findings import Kind
from replicator.verify.folded import lacking as folded_lacking
from replicator.verify.holdings import lacking, read

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOPIC_ID = "A" * 22
UNSIGNED = Keys(Control(unsigned=True))


def manifest(commit: int, days_ago: float, stop: int) -> Manifest:
    lsn, micros = commit * 16, int((NOW - timedelta(days=days_ago)).timestamp() * 1e6)
    root = folded_root(base_id(lsn, commit), rows=True)
    name = SegmentName("i.public.t", TOPIC_ID, 0, 0, stop, "f" * 16, root)
    segment = BaseSegment(name.key(), 10, "f" * 64, 3, 0, commit)
    return Manifest(
        installation="i",
        cluster_id="c",
        destination="d",
        commit=commit,
        lsn=lsn,
        micros=micros,
        latest_micros=micros,
        made_ms=0,
        made_from=None,
        snapshot_lsn=1,
        snapshot_micros=1,
        snapshot_completed_ms=1,
        attempts=1,
        scanned={},
        commits=(),
        sequences=(),
        tables=(),
        chains=(
            BaseChain("i.public.t", TOPIC_ID, 0, stop, "", (segment,)),
            BaseChain("i.transaction", TOPIC_ID, 0, stop, "", ()),
        ),
    )


def folded(base: Manifest, modified: datetime = NOW) -> list[ObjectInfo]:
    return [
        ObjectInfo(each.key, each.size, None, modified) for chain in base.chains for each in chain.segments
    ]


def change(topic: str, first: int, stop: int, days_ago: float = 60) -> ObjectInfo:
    name = SegmentName(topic, TOPIC_ID, 0, first, stop, "0" * 16)
    return ObjectInfo(name.key(), 7, None, NOW - timedelta(days=days_ago))


OLD, MIDDLE, YOUNG = manifest(10, 50, 20), manifest(20, 35, 40), manifest(30, 2, 60)
BASES = [OLD.id, MIDDLE.id, YOUNG.id]
CHANGES = [
    change(topic, first, first + 10)
    for topic in ("i.notification", "i.public.other", "i.public.t", "i.transaction")
    for first in range(0, 80, 10)
]
FOLDED = [*folded(OLD), *folded(MIDDLE), *folded(YOUNG)]


def test_the_floor_is_the_newest_base_that_is_old_enough() -> None:
    assert floor_of([OLD, MIDDLE, YOUNG], 30, NOW) == MIDDLE
    assert floor_of([OLD, MIDDLE, YOUNG], 0, NOW) == YOUNG
    assert floor_of([OLD, MIDDLE, YOUNG], 90, NOW) is None
    late = replace(MIDDLE, latest_micros=YOUNG.latest_micros)
    assert floor_of([OLD, late], 30, NOW) == OLD, "one of its commits is younger than its cut"


def test_what_the_floor_stands_for_goes_and_nothing_else() -> None:
    made = plan(MIDDLE, BASES, CHANGES, FOLDED, lock_days=None, now=NOW)
    assert made.bases == (OLD.id,)
    gone = [key for group in made.groups for key in group.keys]
    wanted = [
        change(topic, first, first + 10).key
        for topic in ("i.transaction", "i.public.t")
        for first in range(0, 40, 10)
    ]
    assert gone == [*wanted, *(info.key for info in folded(OLD))], "whoever needs them notices it first there"
    assert made.size == 8 * 7 + 10


def test_a_segment_that_reaches_beyond_the_floor_stays() -> None:
    made = plan(MIDDLE, BASES, [change("i.public.t", 30, 41)], FOLDED, lock_days=None, now=NOW)
    assert not [key for group in made.groups for key in group.keys if "changes" in key]


def test_without_an_old_base_only_what_ended_compactions_left_goes() -> None:
    stale, fresh = folded(manifest(99, 0, 9), NOW - timedelta(days=2)), folded(manifest(98, 0, 9))
    made = plan(None, BASES, CHANGES, [*FOLDED, *stale, *fresh], lock_days=None, now=NOW)
    assert [key for group in made.groups for key in group.keys] == [stale[0].key]


def test_what_is_under_lock_stays_and_is_told() -> None:
    young, unknown = change("i.public.t", 0, 10, 5), replace(change("i.public.t", 10, 20), modified=None)
    made = plan(
        MIDDLE, BASES, [young, unknown, change("i.public.t", 20, 30)], [*FOLDED], lock_days=30, now=NOW
    )
    gone = [key for group in made.groups for key in group.keys]
    assert gone == [change("i.public.t", 20, 30).key]
    assert made.locked == 3, "two changes, and the older base's segment, which was stored today"
    assert made.locked_until == NOW + timedelta(days=30)


def test_a_floor_that_lacks_a_segment_stands_for_nothing() -> None:
    with pytest.raises(IntegrityError, match="lacks"):
        plan(MIDDLE, BASES, CHANGES, [*folded(OLD), *folded(YOUNG)], lock_days=None, now=NOW)


def test_verify_misses_nothing_before_the_floor_and_everything_behind() -> None:
    chain = Chain("i.public.t", TOPIC_ID, 0)
    held = read([change("i.public.t", 30, 40), change("i.public.t", 50, 60)])
    assert [(each.first, each.next) for each in lacking(held, begins={chain: 40})] == [(40, 50)]
    assert lacking(held, begins={chain: 50}) == []
    assert [(each.first, each.next) for each in lacking(held, begins={chain: 45})] == [(45, 50)]
    only = read([change("i.public.t", 60, 70)])
    [lost] = lacking(only, begins={chain: 50})
    assert (lost.kind, lost.first, lost.next) == (Kind.MISSING, 50, 60)
    assert lacking(read([]), {chain: 50}, begins={chain: 50}) == []
    [letter] = lacking(held, letters={chain: Ranges.of([(40, 50)])}, begins={chain: 30})
    assert letter.kind is Kind.DEAD_LETTER


class Nobody:
    def signature(self, context: bytes, body: bytes) -> None:
        """Nothing is signed."""


def test_the_floor_is_read_from_its_mark_and_must_be_there() -> None:
    store = MemoryStore()
    stored.publish(store, OLD, Nobody())
    stored.publish(store, MIDDLE, Nobody())
    assert stored.floor(store, UNSIGNED, "d") is None
    stored.put_floor(store, MIDDLE.id)
    assert stored.list_bases(store).ids == (OLD.id, MIDDLE.id)
    assert stored.floor(store, UNSIGNED, "d") == MIDDLE
    with pytest.raises(ForgedBaseError, match="copied from there"):
        stored.floor(store, UNSIGNED, "another")
    stored.remove(store, OLD.id)
    store.delete(MIDDLE.key)
    with pytest.raises(ForgedBaseError, match="gone, though older history was removed"):
        stored.floor(store, UNSIGNED, "d")


def test_an_altered_or_renamed_manifest_is_not_believed() -> None:
    store = MemoryStore()
    stored.publish(store, MIDDLE, Nobody())
    body = store.get(MIDDLE.key)
    for key, changed, why in (
        (OLD.key, body, "renamed"),
        (YOUNG.key, body[:-40], "holds no base"),
    ):
        store.put(key, changed, sha256=hashlib.sha256(changed).hexdigest())
        with pytest.raises(ForgedBaseError, match=why):
            stored.read(store, key.removeprefix("v1/bases/").removesuffix(".json"), UNSIGNED, "d")


def test_verify_finds_what_a_base_lacks_and_a_manifest_that_is_none() -> None:
    store = MemoryStore()
    for made in (OLD, MIDDLE, YOUNG):
        stored.publish(store, made, Nobody())
    whole, short = (next(iter(made.chains[0].segments)).key for made in (OLD, MIDDLE))
    for key, body in ((whole, b"0123456789"), (short, b"0"), (f"v1/bases/{base_id(1, 1)}.json", b"{")):
        store.put(key, body, sha256=hashlib.sha256(body).hexdigest())
    found = folded_lacking(store, read(store.list("v1/")), "d")
    assert [(each.kind, each.key) for each in found] == [
        (Kind.ALTERED, f"v1/bases/{base_id(1, 1)}.json"),
        (Kind.SHORT, short),
        (Kind.MISSING, next(iter(YOUNG.chains[0].segments)).key),
    ]
