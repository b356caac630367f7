"""Restore points at a restore: what is believed, and what follows when less is stored than was promised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from replicator.config import Control
from replicator.points import ChainEnd, Keys, RestorePoint, Signer, new_key, stored
from replicator.restore.errors import PromiseBrokenError
from replicator.restore.moment import promise
from replicator.restore.moment.cut import Cut, Latest, ToLsn
from replicator.restore.moment.promise import Promise, Promises
from replicator.restore.segments.catalog import Catalog, ChainPieces, Piece
from replicator.restore.segments.sources import Sources
from replicator.segment.name import CHANGES, Chain, SegmentName
from replicator.storage import ErrorKind, ObjectInfo, StorageError
from replicator.storage.memory import MemoryStore

SIGNING = Control(signing_key=SecretStr(new_key()))
NOW = 1_763_800_000.0
CHAIN = Chain("w.public.guests", "A" * 22, 0)
POINT = RestorePoint(
    "w", "cluster", "azure", 500, 7, int(NOW * 1000) - 60_000, 41, int(NOW * 1000), 3,
    (ChainEnd(CHAIN.topic, CHAIN.topic_id, 0, 17),),
)  # fmt: skip


def later(point: RestorePoint, seconds: float, lsn: int) -> RestorePoint:
    return replace(point, lsn=lsn, committed_ms=point.committed_ms + int(seconds * 1000))


def holding(*points: RestorePoint, signer: Signer = Signer(SIGNING)) -> MemoryStore:  # noqa: B008  # a value
    store = MemoryStore()
    for point in points:
        stored.publish(store, signer.sign(point))
    return store


def read(store: MemoryStore, settings: Control = SIGNING, now: float = NOW) -> Promises:
    return promise.read({"azure": store}, Keys(settings), "w", "cluster", now)


def forge(store: MemoryStore, point: RestorePoint) -> None:
    said = json.loads(store.get(point.key()))
    said["point"]["ends"][0]["end"] += 1
    body = json.dumps(said).encode()
    store.put(point.key(), body, sha256=hashlib.sha256(body).hexdigest(), if_absent=False)


def test_the_newest_genuine_point_counts_with_the_key_that_signed_it() -> None:
    found = read(holding(POINT, later(POINT, 30, 600), later(POINT, -86_400, 100)))
    assert found.newest is not None
    assert found.newest.point.lsn == 600
    assert found.newest.key_id == Signer(SIGNING).sign(POINT).key_id
    assert found.warnings == ()


def test_a_forged_point_is_a_warning_and_the_one_before_it_counts() -> None:
    forged = later(POINT, 30, 600)
    store = holding(POINT, forged)
    forge(store, forged)
    found = read(store)
    assert found.newest is not None and found.newest.point == POINT
    [warning] = found.warnings
    assert "altered" in warning and forged.key() in warning


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda point: replace(point, installation="other"), "of installation 'other'"),
        (lambda point: replace(point, cluster_id="another"), "Kafka cluster another"),
        (lambda point: replace(point, destination="gcs"), "copied from there"),
    ],
)
def test_a_point_about_something_else_is_not_believed(
    change: Callable[[RestorePoint], RestorePoint], why: str
) -> None:
    found = read(holding(change(POINT)))
    assert found.newest is None
    assert why in found.warnings[0]


def test_a_point_that_somebody_elses_key_signed_is_not_believed() -> None:
    found = read(holding(POINT, signer=Signer(Control(signing_key=SecretStr(new_key())))))
    assert found.newest is None
    assert "unknown key" in found.warnings[0]


def test_without_a_key_no_point_is_used_and_that_is_said() -> None:
    found = read(holding(POINT), Control())
    assert found.newest is None
    assert "no key to check them is configured" in found.warnings[0]
    assert read(MemoryStore(), Control()) == Promises()


def test_an_unsigned_point_counts_only_where_that_is_allowed() -> None:
    unsigned = Control(unsigned=True)
    store = holding(POINT, signer=Signer(unsigned))
    found = read(store, unsigned)
    assert found.newest is not None
    assert "unsigned" in found.newest.told(Cut(1, 500, 7, 0))
    assert read(store).newest is None


def test_points_that_cannot_be_read_stop_no_restore() -> None:
    store = holding(POINT)
    store.fail("list", StorageError("the line is cut", kind=ErrorKind.TRANSIENT))
    found = read(store)
    assert found.newest is None
    assert "can't be read: the line is cut" in found.warnings[0]


def test_of_several_sources_the_furthest_point_counts() -> None:
    other = holding(replace(later(POINT, 20, 550), destination="gcs"))
    found = promise.read({"azure": holding(POINT), "gcs": other}, Keys(SIGNING), "w", None, NOW)
    assert found.newest is not None and found.newest.source == "gcs"


class Lively(MemoryStore):
    """A sink stores, and control publishes what follows from it, between any two listings."""

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        found = list(super().list(prefix, start_after=start_after))
        upto = 10 * (sum(1 for _ in super().list(CHANGES)) + 1)
        name = SegmentName(CHAIN.topic, CHAIN.topic_id, 0, upto - 10, upto, f"{upto:016}")
        self.put(name.key(), b"", sha256=hashlib.sha256(b"").hexdigest(), if_absent=False)
        point = replace(later(POINT, upto, 600 + upto), ends=(replace(POINT.ends[0], end=upto),))
        stored.publish(self, Signer(SIGNING).sign(point))
        return iter(found)


def test_beside_a_sink_that_runs_no_point_is_younger_than_the_listing() -> None:
    store = Lively()
    list(store.list(CHANGES))
    found, held = promise.read_and_list(Sources([("azure", store)]), Keys(SIGNING), "w", NOW)
    assert found.newest is not None
    assert promise.lacks(found.newest.point, held) == []


class Ageing(MemoryStore):
    """Its restore points can still be listed, its segments can't any more."""

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        if prefix == CHANGES:
            raise StorageError("it is down", kind=ErrorKind.TRANSIENT)
        return super().list(prefix, start_after=start_after)


def test_a_source_that_cannot_be_listed_promises_nothing() -> None:
    silent, other = Ageing(), holding(later(replace(POINT, destination="gcs"), -60, 400))
    name = SegmentName(CHAIN.topic, CHAIN.topic_id, 0, 0, 17, "0" * 16)
    other.put(name.key(), b"", sha256=hashlib.sha256(b"").hexdigest(), if_absent=False)
    stored.publish(silent, Signer(SIGNING).sign(POINT))
    sources = Sources([("azure", silent), ("gcs", other)])
    found, _ = promise.read_and_list(sources, Keys(SIGNING), "w", NOW)
    assert found.newest is not None and found.newest.source == "gcs"


def test_every_point_is_found_newest_first_however_old_it_is() -> None:
    ages = [10.0, 3000.0, 9000.0, 200_000.0, 9e6, 9e7]
    points = [later(POINT, -age, number) for number, age in enumerate(ages)]
    store = holding(*points)
    keys = list(stored.newest_first(store, datetime.fromtimestamp(NOW, UTC)))
    assert keys == [point.key() for point in points]
    behind = datetime.fromtimestamp(NOW - 1e8, UTC)
    assert list(stored.newest_first(store, behind)) == keys, "a clock that is off finds them, too"


def test_forgeries_without_end_are_not_all_read() -> None:
    points = [later(POINT, number, 600 + number) for number in range(30)]
    store = holding(POINT, *points)
    for point in points:
        forge(store, point)
    found = read(store)
    assert found.newest is None
    assert "20 newest restore points of azure aren't believed" in found.warnings[-1]


def catalog(upto: int) -> Catalog:
    name = SegmentName(CHAIN.topic, CHAIN.topic_id, 0, 0, upto, "0" * 16)
    return Catalog({CHAIN.topic: (ChainPieces(CHAIN, (Piece(name, 10, 0, upto),), ()),)}, ())


GIVEN = Promises((Promise("azure", POINT.key(), POINT, "ab12"),))
BEFORE, AT, BEYOND = Cut(3, 400, 5, 0), Cut(4, 500, 7, 0), Cut(5, 600, 9, 0)


def test_the_latest_moment_may_not_end_before_a_genuine_point() -> None:
    with pytest.raises(PromiseBrokenError) as caught:
        promise.held_to(GIVEN, Latest(), BEFORE, catalog(12))
    assert "w.public.guests[0] ends at offset 12 of 17" in caught.value.message
    assert "transaction 5" in caught.value.message
    assert "--to-xid 5" in str(caught.value.next_step)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("cut", [AT, BEYOND])
def test_the_latest_moment_may_lie_at_or_beyond_the_newest_point(cut: Cut) -> None:
    assert promise.held_to(GIVEN, Latest(), cut, catalog(17)) == GIVEN


def test_a_moment_before_the_loss_is_restored_and_the_loss_is_told() -> None:
    found = promise.held_to(GIVEN, ToLsn(450), BEFORE, catalog(12))
    assert "azure has lost" in found.warnings[0]
    assert promise.held_to(GIVEN, ToLsn(450), BEFORE, catalog(17)).warnings == ()
    assert promise.held_to(GIVEN, ToLsn(450), BEFORE, Catalog({}, ())).warnings != ()


def test_what_was_there_once_is_not_to_be_waited_for() -> None:
    with pytest.raises(PromiseBrokenError):
        promise.check_reached(GIVEN, BEFORE, catalog(12))
    promise.check_reached(GIVEN, AT, catalog(12))
    promise.check_reached(Promises(), BEFORE, catalog(12))


def test_a_report_says_which_point_covers_the_cut_and_whose_key_vouches_for_it() -> None:
    assert GIVEN.newest is not None
    assert GIVEN.newest.told(AT).startswith("covered by the restore point 0/1F4 of azure")
    assert "signature verified, key ab12" in GIVEN.newest.told(AT)
    assert "proven by counting alone" in GIVEN.newest.told(BEYOND)
    said = GIVEN.as_json(BEFORE)["restore_point"]
    assert (said["covers"], said["key_id"], said["lsn"]) == (True, "ab12", "0/1F4")
    assert GIVEN.as_json(BEYOND)["restore_point"]["covers"] is False
    assert Promises().as_json(AT) == {"restore_point": None, "point_warnings": []}
