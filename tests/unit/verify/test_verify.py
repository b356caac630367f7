"""Verification of real segments in a store, each kind of damage told apart from the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.errors import ConfigError
from replicator.segment.container import LeftOut, Segment
from replicator.segment.ranges import Ranges
from replicator.storage import ErrorKind, StorageError
from replicator.storage.file import FileStore
from replicator.storage.memory import MemoryStore
from replicator.storage.port import ObjectInfo
from replicator.verify import Depth, Finding, Kind, Options, Report, verify
from replicator.verify.holdings import MARK, Held
from replicator.verify.inspection import Inspector
from replicator.verify.service import in_sample
from tests.unit.verify.segments import CHAIN, OTHER, put, put_mark, segment

BYTES = Options(Depth.BYTES)
RECORDS = Options(Depth.RECORDS)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    put_mark(made)
    return made


def kinds(report: Report) -> list[Kind]:
    return [finding.kind for finding in report.findings]


def flipped(body: bytes, at: int) -> bytes:
    changed = bytearray(body)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("options", [Options(), BYTES, RECORDS])
def test_a_whole_destination_is_sound_at_any_depth(store: MemoryStore, options: Options) -> None:
    put(store, segment(0, 10), segment(10, 25), segment(25, 30, offsets=[]), segment(0, 7, OTHER))
    report = verify(store, "primary", options)
    assert report.findings == []
    assert not report.damaged
    assert (report.chains, report.segments, report.inspected) == (2, 4, 4)
    assert report.read == (0 if options.depth is Depth.NAMES else report.size)


def test_a_hole_is_told_with_its_offsets(store: MemoryStore) -> None:
    put(store, segment(0, 10), segment(15, 20))
    [finding] = verify(store, "primary").findings
    assert (finding.kind, finding.chain, finding.first, finding.next) == (Kind.MISSING, CHAIN, 10, 15)
    assert "offsets 10 to 14" in str(finding)


def test_a_lost_tail_is_told_by_what_was_committed(store: MemoryStore) -> None:
    put(store, segment(0, 10))
    report = verify(store, "primary", expected={CHAIN: 12, OTHER: 3})
    assert [(each.chain, each.first, each.next) for each in report.findings] == [
        (CHAIN, 10, 12),
        (OTHER, 0, 3),
    ]
    assert report.damaged
    assert not verify(store, "primary", expected={CHAIN: 10}).damaged


def test_a_hole_that_a_dead_letter_stands_for_is_no_damage(store: MemoryStore) -> None:
    put(store, segment(0, 10), segment(15, 20))
    report = verify(store, "primary", letters={CHAIN: Ranges.of([(10, 13)])})
    assert [(each.kind, each.first, each.next) for each in report.findings] == [
        (Kind.MISSING, 13, 15),
        (Kind.DEAD_LETTER, 10, 13),
    ]
    assert not verify(store, "primary", letters={CHAIN: Ranges.of([(10, 15)])}).damaged


def test_overlaps_are_counted_and_harmless(store: MemoryStore) -> None:
    put(store, segment(0, 10), segment(8, 20))
    report = verify(store, "primary", BYTES)
    assert (report.overlapping, report.findings) == (2, [])


def damage_of(store: MemoryStore, one: Segment, body: bytes, options: Options) -> Finding:
    put(store, one)
    store.damage(one.name.key(), body)
    [finding] = verify(store, "primary", options).findings
    assert finding.key == one.name.key()
    return finding


def test_every_way_of_cutting_an_object_short_is_short(store: MemoryStore) -> None:
    one = segment(0, 40)
    put(store, one)
    for size in range(len(one.body)):
        store.damage(one.name.key(), one.body[:size])
        [finding] = verify(store, "primary", BYTES).findings
        assert finding.kind is Kind.SHORT, f"cut to {size} of {len(one.body)} bytes: {finding}"


def test_any_altered_byte_is_found_and_hardly_any_is_called_short(store: MemoryStore) -> None:
    one = segment(0, 40)
    put(store, one)
    seen = []
    for at in range(len(one.body)):
        store.damage(one.name.key(), flipped(one.body, at))
        [finding] = verify(store, "primary", BYTES).findings
        assert finding.kind in (Kind.ALTERED, Kind.SHORT)
        seen.append(finding.kind)
    assert seen.count(Kind.SHORT) < len(seen) / 20


def test_another_segment_under_the_name_is_altered_and_told_which(store: MemoryStore) -> None:
    finding = damage_of(store, segment(0, 10), segment(10, 20).body, BYTES)
    assert finding.kind is Kind.ALTERED
    assert "10-20" in finding.detail


def test_a_store_that_notes_another_checksum_is_looked_into_without_being_asked(store: MemoryStore) -> None:
    one = segment(0, 10)
    other = segment(0, 10, name_of="Eve")
    store.put(one.name.key(), other.body, sha256=other.sha256)
    assert kinds(verify(store, "primary")) == [Kind.ALTERED]


class Forgetful(MemoryStore):
    """A store whose objects lost what was stored beside them, as copies made by other tools do."""

    def head(self, key: str) -> ObjectInfo:
        return replace(super().head(key), sha256=None)


def test_lost_metadata_is_told_apart_from_damage() -> None:
    store = Forgetful()
    put_mark(store)
    put(store, segment(0, 10))
    report = verify(store, "primary")
    assert kinds(report) == [Kind.METADATA_LOST]
    assert not report.damaged
    store.damage(segment(0, 10).name.key(), flipped(segment(0, 10).body, -1))
    assert kinds(verify(store, "primary")) == [Kind.ALTERED]


def test_the_wrong_storage_class_is_told_and_harms_nothing(store: MemoryStore) -> None:
    class Cold(MemoryStore):
        def head(self, key: str) -> ObjectInfo:
            return replace(super().head(key), storage_class="STANDARD")

    cold = Cold()
    put_mark(cold)
    put(cold, segment(0, 10))
    report = verify(cold, "primary", inspector=Inspector(cold, storage_class="STANDARD_IA"))
    assert kinds(report) == [Kind.WRONG_CLASS]
    assert not report.damaged
    assert kinds(verify(cold, "primary", inspector=Inspector(cold, storage_class="STANDARD"))) == []


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.FATAL, ErrorKind.CORRUPT])
def test_an_object_that_the_store_refuses_is_unreadable(store: MemoryStore, kind: ErrorKind) -> None:
    put(store, segment(0, 10), segment(10, 20))
    calls = _failing_gets(store, segment(0, 10).name.key(), kind)
    report = verify(calls, "primary", BYTES)
    assert kinds(report) == [Kind.UNREADABLE]
    assert report.damaged


def test_an_object_that_goes_while_it_is_looked_at_is_missing(store: MemoryStore) -> None:
    put(store, segment(0, 10))
    calls = _failing_gets(store, segment(0, 10).name.key(), ErrorKind.NOT_FOUND)
    assert kinds(verify(calls, "primary", BYTES)) == [Kind.MISSING]


def test_a_destination_that_does_not_answer_is_no_finding(store: MemoryStore) -> None:
    put(store, segment(0, 10), segment(10, 20))
    calls = _failing_gets(store, segment(0, 10).name.key(), ErrorKind.TRANSIENT)
    with pytest.raises(StorageError, match="injected"):
        verify(calls, "primary", BYTES)


def _failing_gets(store: MemoryStore, key: str, kind: ErrorKind) -> MemoryStore:
    whole: Callable[..., bytes] = store.get

    def get(asked: str, *, start: int | None = None, end: int | None = None) -> bytes:
        if asked == key:
            raise StorageError("injected", kind=kind)
        return whole(asked, start=start, end=end)

    store.get = get  # type: ignore[method-assign, assignment]
    return store


def test_strange_objects_and_a_lost_mark_are_told(store: MemoryStore) -> None:
    put(store, segment(0, 10))
    for key in ("v1/changes/readme.txt", "v1/other", "v1/schemas/7.json", "v1/probe/x", "elsewhere/y"):
        store.put(key, b"", sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    report = verify(store, "primary")
    assert [(each.kind, each.key) for each in report.findings] == [
        (Kind.UNKNOWN, "v1/changes/readme.txt"),
        (Kind.UNKNOWN, "v1/other"),
    ]
    assert not report.damaged
    store.delete(MARK)
    assert (Kind.MISSING, MARK) in [(each.kind, each.key) for each in verify(store, "primary").findings]
    store.put(MARK, b"", sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert (Kind.ALTERED, MARK) in [(each.kind, each.key) for each in verify(store, "primary").findings]


def test_an_empty_destination_has_nothing_wrong() -> None:
    assert verify(MemoryStore(), "primary").findings == []


def test_records_out_of_range_are_found_though_the_bytes_are_what_the_name_says(store: MemoryStore) -> None:
    put(store, segment(0, 10, offsets=[3, 4, 12]))
    assert kinds(verify(store, "primary", BYTES)) == []
    assert kinds(verify(store, "primary", RECORDS)) == [Kind.ALTERED]


def test_what_a_segment_leaves_out_is_reported(store: MemoryStore) -> None:
    put(store, segment(0, 10, offsets=[0, 1, 5], left_out=(LeftOut(2, 5, "dead letter"),)))
    report = verify(store, "primary", BYTES)
    assert [(gap["first"], gap["next"]) for gap in report.left_out] == [(2, 5)]


def test_a_sample_is_the_same_for_a_seed_and_another_for_another(store: MemoryStore) -> None:
    held = [Held(segment(first, first + 1).name, 1) for first in range(400)]
    monday = [each for each in held if in_sample(each, Options(Depth.BYTES, 10, "monday"))]
    tuesday = [each for each in held if in_sample(each, Options(Depth.BYTES, 10, "tuesday"))]
    assert 15 < len(monday) < 80
    assert monday != tuesday
    assert monday == [each for each in held if in_sample(each, Options(Depth.BYTES, 10, "monday"))]
    put(store, *(segment(first, first + 1) for first in range(100)))
    report = verify(store, "primary", Options(Depth.BYTES, 10, "monday"))
    assert 0 < report.read < report.size
    assert report.inspected == 100


class DyingDisk:
    """It stops to answer after so many reads of segments."""

    def __init__(self, store: MemoryStore, reads: int) -> None:
        self.left = reads
        self._get = store.get
        store.get = self.get  # type: ignore[method-assign]

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        if key != MARK:
            if self.left == 0:
                raise StorageError("injected", kind=ErrorKind.TRANSIENT)
            self.left -= 1
        return self._get(key, start=start, end=end)


def test_a_run_that_was_ended_goes_on_where_it_was(store: MemoryStore, tmp_path: Path) -> None:
    put(store, *(segment(first, first + 10) for first in range(0, 200, 10)))
    bad = segment(30, 40)
    store.damage(bad.name.key(), bad.body[:-20])
    options = Options(Depth.BYTES, threads=1, state=tmp_path / "state")
    disk = DyingDisk(store, 12)
    with pytest.raises(StorageError):
        verify(store, "primary", options)
    with (tmp_path / "state").open("a") as file:
        file.write("v1/changes/torn")
    disk.left = 1000
    report = verify(store, "primary", options)
    assert 5 <= report.resumed <= 11
    assert report.inspected == 20 - report.resumed
    assert kinds(report) == [Kind.SHORT], "what was wrong is looked at again"
    again = verify(store, "primary", options)
    assert (again.resumed, again.inspected) == (0, 20), "a finished state begins anew"


def test_a_state_file_of_something_else_is_refused(store: MemoryStore, tmp_path: Path) -> None:
    put(store, segment(0, 10))
    other = tmp_path / "notes.txt"
    other.write_text("buy flowers\n")
    with pytest.raises(ConfigError, match="no state file"):
        verify(store, "primary", Options(Depth.BYTES, state=other))
    assert other.read_text() == "buy flowers\n"
    state = tmp_path / "state"
    disk = DyingDisk(store, 0)
    with pytest.raises(StorageError):
        verify(store, "primary", Options(Depth.BYTES, state=state))
    disk.left = 100
    with pytest.raises(ConfigError, match="differs in depth"):
        verify(store, "primary", Options(Depth.RECORDS, state=state))


@pytest.mark.parametrize("cut", [0, 3, 200, -1, -16, -17])
def test_the_two_ends_of_a_file_show_that_it_is_short(tmp_path: Path, cut: int) -> None:
    store = FileStore(tmp_path)
    put_mark(store)
    one = segment(0, 400)
    put(store, one, segment(400, 410, offsets=[]))
    inspector = Inspector(store, keeps_checksums=False)
    assert verify(store, "disk", inspector=inspector).findings == []
    path = tmp_path / one.name.key()
    path.write_bytes(one.body[:cut])
    report = verify(store, "disk", inspector=inspector)
    assert kinds(report) == [Kind.SHORT]


def test_a_bit_inside_a_file_is_found_by_a_deep_look(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    put_mark(store)
    one = segment(0, 400)
    put(store, one)
    (tmp_path / one.name.key()).write_bytes(flipped(one.body, len(one.body) // 2))
    inspector = Inspector(store, keeps_checksums=False)
    assert kinds(verify(store, "disk", BYTES, inspector=inspector)) == [Kind.ALTERED]
