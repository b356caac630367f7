from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from replicator import verify
from replicator.certificate import Certificate, ChainRange, ReadObject, check
from replicator.config import Config
from replicator.errors import IntegrityError
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.sources import Sources
from replicator.rollup import plan as planning
from replicator.rollup import service
from replicator.rollup.plan import FEWEST, LARGE_BYTES, MOST, SMALL_BYTES, TAIL, plan
from replicator.segment import read, rolled
from replicator.segment.container import LeftOut, Segment
from replicator.segment.name import CHANGES, SegmentName
from replicator.segment.rolled import Member
from replicator.storage import ErrorKind, ObjectInfo, StorageError
from replicator.storage.file import FileStore
from replicator.verify import pair
from tests.unit.verify.segments import CHAIN, OTHER, put, put_mark, segment

NOW = datetime(2026, 11, 22, tzinfo=UTC)
COUNT = 30
EACH = 2
AT_THE_END = 6
ROLLED = COUNT - AT_THE_END


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few segments are many: each is a file that is synced."""
    monkeypatch.setattr(planning, "FEWEST", 8)
    monkeypatch.setattr(planning, "TAIL", AT_THE_END)


@pytest.fixture
def store(few: None, tmp_path: Path) -> Iterator[FileStore]:
    (tmp_path / "store").mkdir()
    made = FileStore(tmp_path / "store")
    put_mark(made)
    put(made, *(segment(at * EACH, (at + 1) * EACH) for at in range(COUNT)))
    put(made, *(segment(at * EACH, (at + 1) * EACH, OTHER) for at in range(10)))
    shutil.copytree(tmp_path / "store", tmp_path / "untouched")
    yield made


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "installation": "shop",
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "registry": {"url": "http://127.0.0.1:1"},
            "source": {"dsn": "host=127.0.0.1"},
            "destinations": {"a": {"type": "file", "path": str(tmp_path / "store")}},
        }
    )


def names(store: FileStore) -> list[SegmentName]:
    return [name for info in store.list(CHANGES) if (name := SegmentName.parse(info.key))]


def go(config: Config, **more: Any) -> service.Report:
    return service.run(config, "a", apply=True, grace_h=0, age=timedelta(0), **more)


def is_sound(store: FileStore, tmp_path: Path) -> bool:
    """Whether it holds, record for record, what the untouched copy holds, and nothing is wrong with it."""
    compared = pair.compare("a", store, "b", FileStore(tmp_path / "untouched"), deep=True)
    assert compared.equal, compared.differences
    assert not compared.lag
    found = verify.verify(store, "a", verify.Options(verify.Depth.RECORDS))
    assert not found.damaged, found.findings
    return True


def test_small_segments_become_large_ones_and_go_in_a_later_call(
    store: FileStore, config: Config, tmp_path: Path
) -> None:
    before = names(store)
    dry = service.run(config, "a", grace_h=0, age=timedelta(0))
    assert names(store) == before
    assert dry.as_json()["to_roll_up"] == ROLLED, "the tail of a chain stays, and a short chain does"
    assert not service.run(config, "a").as_json()["to_roll_up"], "nothing is an hour old"
    first = go(config)
    assert (first.rolled, first.made, first.removed) == (ROLLED, 1, 0)
    assert set(before) < set(names(store))
    assert is_sound(store, tmp_path)
    waiting = service.run(config, "a", apply=True, grace_h=1, age=timedelta(0))
    assert (waiting.removed, waiting.plan.waiting) == (0, ROLLED)
    second = go(config)
    assert (second.rolled, second.removed) == (0, ROLLED)
    assert len(names(store)) == len(before) - ROLLED + 1
    assert is_sound(store, tmp_path)
    third = go(config)
    assert (third.rolled, third.removed, third.left) == (0, 0, [])


@pytest.mark.parametrize("ends_at", [1, 2, 12, 24, 25, 26])
def test_ended_between_any_two_steps_it_is_whole_and_goes_on(
    store: FileStore, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_at: int
) -> None:
    """A large segment is put in step 1, and the small ones are deleted in those after it."""
    steps = []

    def ending(plain: Any) -> Any:
        def step(self: FileStore, *arguments: Any, **more: Any) -> Any:
            done = plain(self, *arguments, **more)
            steps.append(1)
            if len(steps) == ends_at:
                raise StorageError("somebody pulled the plug", kind=ErrorKind.CORRUPT)
            return done

        return step

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "put", ending(FileStore.put))
        patched.setattr(FileStore, "delete", ending(FileStore.delete))
        try:
            for _ in range(3):
                go(config)
        except StorageError as error:
            assert "plug" in error.message
    assert is_sound(store, tmp_path)
    for _ in range(2):
        go(config)
    assert len(names(store)) == 1 + AT_THE_END + 10
    assert is_sound(store, tmp_path)


def test_every_small_segment_comes_out_of_the_large_one_byte_for_byte() -> None:
    small = [segment(at * 7, at * 7 + 7, offsets=[at * 7 + 1, at * 7 + 4], block=1) for at in range(9)]
    large = rolled.make([Member(each.name, each.body) for each in small])
    assert [(each.name, each.body) for each in rolled.members(large.body, "it")] == [
        (each.name, each.body) for each in small
    ]
    header = read.check(large.name, large.body)
    assert (header.first, header.next, header.count) == (0, 63, 18)
    assert (header.first_timestamp, header.last_timestamp) == (1_760_000_000_001, 1_760_000_000_060)
    assert len(large.body) < sum(len(each.body) for each in small) / 2


def test_a_large_one_is_never_taken_for_a_small_one() -> None:
    small = [segment(at, at + 1, block=1) for at in range(FEWEST)]
    assert all(len(each.body) < 3000 for each in small)
    large = rolled.make([Member(each.name, each.body) for each in small])
    assert len(large.body) > SMALL_BYTES


def test_a_large_one_whose_numbers_lie_is_found() -> None:
    small = [segment(at * 7, at * 7 + 7) for at in range(3)]
    large = rolled.make([Member(each.name, each.body) for each in small])
    lied = large.body.replace(small[1].sha256.encode(), b"0" * 64)
    with pytest.raises(IntegrityError, match="offsets 7 to 13"):
        list(rolled.members(lied, "it"))


ODD: dict[str, Segment] = {
    "a dead letter's": segment(20, 25, left_out=(LeftOut(22, 23, "too large"),), offsets=[20, 21, 23, 24]),
    "without records": segment(20, 25, offsets=[]),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_has_a_story_of_its_own_stays(few: None, config: Config, tmp_path: Path, kind: str) -> None:
    (tmp_path / "store").mkdir()
    made = FileStore(tmp_path / "store")
    put_mark(made)
    odd = ODD[kind]
    put(made, *(segment(at * 5, at * 5 + 5) for at in range(30) if at != 4), odd)
    shutil.copytree(tmp_path / "store", tmp_path / "untouched")
    go(config)
    done = go(config)
    assert done.removed
    assert odd.name in names(made)
    assert not any(each.first < 20 < each.next for each in names(made))
    assert is_sound(made, tmp_path)


def test_what_is_damaged_or_lies_behind_a_hole_is_left_alone(
    store: FileStore, config: Config, tmp_path: Path
) -> None:
    [hurt, lost] = [name for name in names(store) if name.chain == CHAIN and name.first in (10, 40)]
    path = tmp_path / "store" / hurt.key()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    store.delete(lost.key())
    done = go(config)
    assert len(done.left) == 1 and "damaged" in done.left[0]
    made = [name for name in names(store) if name.next - name.first > EACH]
    assert all(not (name.first <= 40 < name.next) for name in made)
    assert path.exists()


def test_a_large_one_that_was_altered_takes_no_small_one_with_it(
    store: FileStore, config: Config, tmp_path: Path
) -> None:
    go(config)
    [large] = [name for name in names(store) if name.next - name.first > EACH]
    path = tmp_path / "store" / large.key()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    before = names(store)
    with pytest.raises(IntegrityError, match="damaged"):
        go(config)
    assert names(store) == before


def info(first: int, stop: int, *, size: int = 9000, age_h: float = 48.0) -> ObjectInfo:
    name = SegmentName(CHAIN.topic, CHAIN.topic_id, 0, first, stop, f"{first:016x}")
    return ObjectInfo(name.key(), size, None, NOW - timedelta(hours=age_h))


def planned(listing: list[ObjectInfo], lock_days: float | None = None) -> Any:
    lock = None if lock_days is None else timedelta(days=lock_days)
    return plan(listing, NOW, age=timedelta(hours=1), grace=timedelta(hours=24), lock=lock)


def test_nothing_under_lock_is_rolled_up_or_removed() -> None:
    small = [info(at, at + 1) for at in range(250)]
    assert sum(len(run.members) for run in planned(small).runs) == 250 - TAIL
    found = planned(small, lock_days=3)
    assert (found.runs, found.locked) == ((), 250 - TAIL)
    both = [*small, info(0, 150, size=90_000)]
    assert len(planned(both).replaced[0].small) == 150
    held = planned(both, lock_days=3)
    assert (held.replaced, held.locked) == ((), 250 - TAIL)
    assert len(planned(both, lock_days=1).replaced[0].small) == 150


def test_runs_end_at_a_number_a_size_and_a_large_segment() -> None:
    small = [info(at, at + 1) for at in range(2 * MOST)]
    assert [len(run.members) for run in planned(small).runs] == [MOST, MOST - TAIL]
    heavy = [info(at, at + 1, size=SMALL_BYTES - 1) for at in range(500)]
    assert planned(heavy).runs
    assert all(run.size <= LARGE_BYTES for run in planned(heavy).runs)
    mixed = [info(at, at + 1, size=SMALL_BYTES if at == FEWEST - 1 else 9) for at in range(2 * FEWEST + TAIL)]
    assert [run.members[0][0].first for run in planned(mixed).runs] == [FEWEST]


def test_a_certificate_stands_after_what_it_names_was_rolled_up(
    store: FileStore, config: Config, tmp_path: Path
) -> None:
    named = [name for name in names(store) if name.chain == CHAIN]
    objects = []
    for name in named:
        body = store.get(name.key())
        digest = hashlib.sha256(body).hexdigest()
        objects.append(ReadObject(name.key(), "a", len(body), digest, ((name.first, name.next),)))
    needed = ChainRange(CHAIN.topic, CHAIN.topic_id, 0, 0, COUNT * EACH)
    made = Certificate("shop", "cluster", 0, 1, "latest", {}, tuple(objects), (needed,), (), {}, {})
    go(config)
    go(config)
    for deep in (False, True):
        verdict = check(made, {"a": store}, deep=deep)
        assert verdict.stands, verdict.found
        assert verdict.rolled_up == ROLLED
    [large] = [name for name in names(store) if name.next - name.first > EACH]
    (tmp_path / "store" / large.key()).write_bytes(b"something else")
    assert not check(made, {"a": store}).stands


def test_whoever_listed_before_the_small_ones_went_reads_the_large_one(
    store: FileStore, config: Config, tmp_path: Path
) -> None:
    go(config)
    sources = Sources([("a", store)])
    found = sources.catalog()
    [chain] = [each for each in found if each.chain == CHAIN]
    plain = store.list
    held = [list(store.list(prefix)) for prefix in ("v1/", CHANGES)]
    go(config)

    def then(prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        del start_after
        return iter(held[0] if prefix == "v1/" else plain(prefix))

    store.list = then  # type: ignore[method-assign]
    assert is_sound(store, tmp_path), "verify and compare"
    folder = tmp_path / "fetched"
    folder.mkdir()
    fetcher = Fetcher(sources, folder, 2)
    try:
        fetched = fetcher.fetch(chain.pieces)
        assert sorted((each.piece.start, each.piece.stop) for each in fetched) == [
            (at * EACH, (at + 1) * EACH) for at in range(COUNT)
        ]
    finally:
        fetcher.close()
    assert sources.replaced
