"""Bases of the real path: restores that begin with one, judged by the source at the same LSN."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.endpoints import Endpoints
from replicator import verify
from replicator.bases import Manifest
from replicator.certificate import check
from replicator.compact import service as compaction
from replicator.compact import streams, table
from replicator.compare import capture, compare
from replicator.config import Compact, Config, load
from replicator.control.events.event import Event
from replicator.control.events.state import State
from replicator.control.tasks.upkeep import Upkeep
from replicator.errors import ConfigError, IntegrityError, RefusedError
from replicator.points import ChainEnd, RestorePoint, beginnings
from replicator.restore import opening, service
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.fold.folding import Fold
from replicator.restore.moment import cut
from replicator.restore.report import Report
from replicator.restore.rows import misread
from replicator.retention import service as retention
from replicator.rollup import plan as planning
from replicator.rollup import service as rollup
from replicator.segment import container
from replicator.segment.name import SegmentName
from replicator.segment.pieces import Piece
from replicator.segment.ranges import Span
from replicator.storage import ErrorKind, StorageError
from replicator.storage.file import FileStore
from replicator.telemetry import ControlMetrics
from replicator.verify import pair, stream
from replicator.writer.process.pool import Supervisor
from tests.faults.capture import captured
from tests.faults.traffic import Traffic
from tests.stack.test_restore import ADDITIVE, KEY, POINTS, ROWS_CHANGE, TABLES, Story, ask, lsn
from tests.stack.test_restore import copied as copied
from tests.stack.test_restore import target as target

AFTER = (
    "UPDATE people SET name = name || '+' WHERE id % 4 = 0",
    "DELETE FROM plain WHERE i2 % 7 = 0",
    "UPDATE steps SET n = n + 1 WHERE what = 'm1'",
    "DELETE FROM stays WHERE id < 9",
    "UPDATE stays SET at = at - 100 WHERE id > 280",
    "UPDATE scratch SET v = 'late'",
    "BEGIN; TRUNCATE pets CASCADE; INSERT INTO pets (owner) SELECT id FROM people LIMIT 20; COMMIT",
)


@pytest.fixture(scope="module")
def story(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Rows changed, a base, DDL and traffic, a second base made from it, and more of both."""
    folder = tmp_path_factory.mktemp("compact")
    store = folder / "store"
    store.mkdir()
    with captured(stack, folder / "capture", more=TABLES) as made:
        told = Story(made, store)
        told.run(ROWS_CHANGE[:4])
        told.hold("before")
        told.run(ROWS_CHANGE[4:])
        told.hold("first")
        with Traffic(made.dsn, seed=11, rows=12, workers=2):
            told.run(ADDITIVE)
            told.hold("between")
        told.sink()
        first = compaction.run(signing(told), "store", lsn(told.points["first"][0]))
        assert first.made
        second = compaction.run(signing(told), "store", cut.Latest())
        assert second.made
        assert first.base is not None
        assert second.made_from == first.base.id
        steps = told.points["first"][1].tables["public.steps"].rows
        assert records(first.base, "public.steps") == steps, "rows, not events, of a table without a key"
        assert not first.by_event
        told.hold("second")
        told.run(AFTER)
        told.hold("after")
        told.sink()
        yield told


def signing(story: Story, store: Path | None = None) -> Config:
    """The configuration of whoever has control's key."""
    return story.settings(store).model_copy(update={"control": POINTS})


def restored(story: Story, name: str, target: str, **more: Any) -> Report:
    at, source = story.points[name]
    report = story.restore(lsn(at), target, **more)
    found = compare(source, capture(target))
    assert found.equal, "\n".join(found.lines())
    return report


def bases(store: Path) -> list[str]:
    return sorted(path.stem for path in store.glob("v1/bases/*.json"))


def records(base: Manifest, collection: str) -> int:
    """What a base has of a table."""
    found = base.table(collection)
    assert found is not None
    return found.records


@pytest.mark.parametrize(("name", "base"), [("before", None), ("first", 0), ("between", 0), ("second", 1)])
def test_a_restore_begins_with_the_newest_base_before_its_target(
    story: Story, target: str, name: str, base: int | None
) -> None:
    report = restored(story, name, target)
    assert report.base == (None if base is None else bases(story.store)[base])


def test_a_base_of_a_base_and_what_came_after_is_the_source(story: Story, target: str) -> None:
    report = restored(story, "after", target)
    assert report.base == bases(story.store)[1]
    plain = service.plan(
        story.settings(), "store", lsn(story.points["after"][0]), opening.Limits(use_bases=False)
    )
    assert plain.base is None
    assert report.transactions == plain.cut.number, "a base keeps the numbers of commits"
    whole = sum(plain.history.commits.expected("public.people", plain.cut.number).values())
    assert 0 < next(each.events for each in report.tables if each.table == "public.people") < whole


def test_a_base_that_isn_t_believed_is_left_out_and_named(story: Story, copied: Path, target: str) -> None:
    newest = copied / "v1" / "bases" / f"{bases(story.store)[1]}.json"
    said = json.loads(newest.read_text())
    said["base"]["chains"][0]["stop"] += 1
    newest.write_text(json.dumps(said))
    plan = service.plan(story.settings(copied), "store", lsn(story.points["after"][0]))
    assert plan.base is not None
    assert plan.base.id == bases(story.store)[0]
    assert "it was altered" in plan.as_json()["point_warnings"][0]
    with pytest.raises(ConfigError, match="no restore would begin with"):
        compaction.run(story.settings(copied), "store", cut.Latest())


def test_a_base_s_damaged_segment_is_named_and_the_changes_still_restore(
    story: Story, copied: Path, target: str
) -> None:
    newest = bases(story.store)[1]
    victim = max(
        (copied / "v1" / "folded" / newest / "rows").rglob("*.avro"), key=lambda path: path.stat().st_size
    )
    body = bytearray(victim.read_bytes())
    body[len(body) // 2] ^= 1
    victim.write_bytes(body)
    found = verify.run(story.settings(copied), "store", verify.Options(verify.Depth.BYTES)).findings
    assert [(each.kind.value, each.key) for each in found] == [("altered", str(victim.relative_to(copied)))]
    with pytest.raises(IntegrityError, match="damaged") as caught:
        story.restore(lsn(story.points["after"][0]), target, store=copied)
    assert "--no-base" in str(caught.value.next_step)
    at, source = story.points["after"]
    report = service.run(
        story.settings(copied),
        "store",
        lsn(at),
        target,
        force_clean=True,
        limits=opening.Limits(use_bases=False),
    )
    assert report.base is None
    assert compare(source, capture(target)).equal


def test_a_compaction_that_was_ended_is_no_base_and_the_next_one_goes_on(
    story: Story, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = FileStore.put
    stored: list[str] = []

    def failing(self: FileStore, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> Any:
        if len(stored) == 3:
            raise StorageError("the disk is full", kind=ErrorKind.FATAL)
        stored.append(key)
        return plain(self, key, body, sha256=sha256, if_absent=if_absent)

    before = bases(copied)
    config, at = signing(story, copied), lsn(story.points["after"][0])
    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "put", failing)
        with pytest.raises(StorageError, match="full"):
            compaction.run(config, "store", at)
    assert bases(copied) == before
    assert service.plan(config, "store", at).base is not None
    done = compaction.run(config, "store", at)
    assert done.made
    assert done.found_stored == 3
    again = compaction.run(config, "store", at)
    assert not again.made
    assert again.base == done.base


def test_a_copy_that_loses_a_record_is_found_before_the_manifest_is_written(
    story: Story, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = streams.kept
    calls = []

    def lossy(rows: Any, left: Any = None) -> Iterator[Any]:
        calls.append(rows)
        for number, part in enumerate(plain(rows, left)):
            if len(calls) == 1 and number == 0 and len(part.chunk.rows) > 1:
                shorter = replace(part.chunk, rows=part.chunk.rows[:-1])
                yield replace(part, chunk=shorter, ends=part.ends[:-1], data=part.data[: part.ends[-2]])
            else:
                yield part

    monkeypatch.setattr(table, "kept", lossy)
    with pytest.raises(IntegrityError, match="aren't what its chain comes to"):
        compaction.run(signing(story, copied), "store", lsn(story.points["after"][0]))
    assert bases(copied) == bases(story.store)


def test_values_that_debezium_read_as_another_type_are_in_no_base(
    story: Story, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a restore would refuse, folded away or not."""
    plain = misread.is_misread

    def strict(declared: Any, read_as: str) -> bool:
        return plain(declared, read_as) or (declared.name, read_as) == ("uuid", "uuid")

    monkeypatch.setattr(misread, "is_misread", strict)
    with pytest.raises(SchemaRefusedError, match=r"public\.(pets|plain)\.\w+ was of the type uuid"):
        compaction.run(signing(story, copied), "store", lsn(story.points["after"][0]))
    assert bases(copied) == bases(story.store)


def test_the_marks_of_a_restore_from_a_base_are_those_of_any_other(story: Story, target: str) -> None:
    restored(story, "second", target)
    assert ask(target, "SELECT state FROM replicator_restore.state") == "complete"
    assert ask(target, "SELECT nextval('invoices')") == 114


def test_retention_removes_what_the_floor_stands_for_and_goes_on_where_it_was_ended(
    story: Story, copied: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = story.settings(copied)
    before = {path for path in copied.rglob("*") if path.is_file()}
    dry = retention.run(config, "store", keep_days=0)
    assert {path for path in copied.rglob("*") if path.is_file()} == before
    assert dry.plan.floor is not None
    assert (dry.plan.floor.id, dry.plan.bases) == (bases(story.store)[1], (bases(story.store)[0],))
    assert not retention.run(config, "store").plan.objects, "nothing is thirty days old"

    plain = FileStore.delete
    deleted: list[str] = []

    def failing(self: FileStore, key: str) -> None:
        if len(deleted) >= 9:
            raise StorageError("somebody pulled the plug", kind=ErrorKind.TRANSIENT)
        deleted.append(key)
        plain(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "delete", failing)
        patched.setattr(retention, "open_store", lambda place: FileStore(place.path))
        with pytest.raises(StorageError, match="plug"):
            retention.run(config, "store", apply=True, keep_days=0)
    assert sound(config)
    with pytest.raises(RefusedError, match="removed by `replicator retention`") as caught:
        service.plan(config, "store", lsn(story.points["between"][0]))
    assert "--to-lsn" in str(caught.value.next_step)

    done = retention.run(config, "store", apply=True, keep_days=0)
    assert done.removed == done.plan.objects
    assert not retention.run(config, "store", apply=True, keep_days=0).plan.objects
    assert sound(config)
    assert restored(story, "after", target, store=copied).base == bases(copied)[0]


def test_a_compaction_with_more_keys_than_memory_makes_the_same_base(
    story: Story, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys are folded in turns; what comes of it is the same, segment for segment."""
    config, at = signing(story, copied), lsn(story.points["after"][0])
    plain = Fold._in_turns
    parts: list[int] = []

    def turns(self: Fold, number: int) -> Any:
        parts.append(number)
        return plain(self, number)

    monkeypatch.setattr(Fold, "_in_turns", turns)
    made = []
    for memory in (2**13, 2**29):
        limits = opening.Limits(memory, 1, use_bases=False)
        made.append(compaction.run(config, "store", at, limits))
        if memory == 2**13:
            assert max(parts) >= 4, "everything fitted into the memory"
            assert made[0].base is not None
            (copied / made[0].base.key).unlink()
            parts.clear()
    assert not parts
    one, other = (report.base for report in made)
    assert one is not None and other is not None
    # What is told by its images needs them all at once: with less memory, every event is kept.
    assert "public.visits" in made[0].by_event and "public.visits" not in made[1].by_event
    by_event = {f"{config.installation}.{name}" for name in (*made[0].by_event, *made[1].by_event)}
    one_by_key, other_by_key = (
        [chain for chain in base.chains if chain.topic not in by_event] for base in (one, other)
    )
    assert one_by_key == other_by_key
    assert sum(chain.records for chain in one_by_key) > 1000
    assert made[1].found_stored >= sum(len(chain.segments) for chain in one_by_key)


def recut(store: Path, folder: Path, records: int = 5) -> None:
    """The chains of one directory in another, in segments of a few records, as a hurried sink makes them."""
    folder.mkdir()
    theirs, ours = FileStore(store), FileStore(folder)
    for info in theirs.list("v1/"):
        name = SegmentName.parse(info.key)
        if name is None:
            if not info.key.startswith(("v1/bases/", "v1/folded/")):
                body = theirs.get(info.key)
                ours.put(info.key, body, sha256=hashlib.sha256(body).hexdigest())
            continue
        parts = []
        for chunk in stream.chunks(
            theirs, [Piece(name, info.size, name.first, name.next)], Span(name.first, name.next)
        ):
            found = list(chunk.records())
            parts += [(chunk, found[at : at + records]) for at in range(0, len(found), records)]
        if not parts:  # its range had transaction markers alone
            path = folder / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(theirs.get(info.key))
            continue
        firsts = [name.first, *(part[0][0] for _, part in parts[1:]), name.next]
        for (chunk, part), first, after in zip(parts, firsts, firsts[1:], strict=False):
            header = replace(chunk.header, first=first, next=after, count=len(part))
            block = chunk.data[part[0][1] : part[-1][2]]
            made = container.build(header, [(len(part), container.compress(block))])
            path = folder / made.name.key()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.body)


def test_rolled_up_it_restores_compares_and_compacts_as_before(
    story: Story, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "FEWEST", 8)
    places = {"small": tmp_path / "small", "store": story.store}
    recut(story.store, places["small"])
    path = story.capture.write_config(
        "small",
        destinations={name: {"type": "file", "path": str(place)} for name, place in places.items()},
        control={"signing_key": KEY},
    )
    config = load(path)
    at, source = story.points["after"]
    before = service.run(config, "small", lsn(at), target)
    assert before.certificate is not None
    first, second = (rollup.run(config, "small", apply=True, grace_h=0, age=timedelta(0)) for _ in range(2))
    assert first.rolled == second.removed > 100
    assert not (first.left or second.left)
    assert not verify.run(config, "small", verify.Options(verify.Depth.RECORDS)).findings
    assert pair.run(config, "small", "store", deep=True).equal
    verdict = check(before.certificate.certificate, {"small": FileStore(places["small"])}, deep=True)
    assert verdict.stands, verdict.found[:3]
    assert verdict.rolled_up > 50
    after = service.run(config, "small", lsn(at), target, force_clean=True)
    assert after.segments < before.segments - 50
    assert compare(source, capture(target)).equal
    assert compaction.run(config, "small", lsn(story.points["second"][0])).made
    based = service.run(config, "small", lsn(at), target, force_clean=True)
    assert based.base is not None
    assert compare(source, capture(target)).equal


def test_control_makes_bases_and_one_that_is_killed_is_begun_again(story: Story, copied: Path) -> None:
    config = signing(story, copied).model_copy(update={"compact": Compact(every_h=24)})
    point = RestorePoint(
        config.installation, "c", "store", 1, 1, 1, 1, 1, 1, (ChainEnd("t", "A" * 22, 0, 1),)
    )
    state = replace(State(), points={"store": point})
    upkeep = Upkeep(config, ControlMetrics(), Supervisor(), 0)

    def ended() -> Event:
        deadline = time.monotonic() + 60
        while not (done := upkeep.done(1, "it")):
            assert time.monotonic() < deadline, "nothing ended within a minute"
            time.sleep(0.05)
        return done[0]

    before = bases(copied)
    try:
        upkeep.round(state, ["store"], ["store"], 10**12, "it")
        deadline = time.monotonic() + 60
        while len(list(copied.glob("v1/folded/*"))) == len(before) or not (
            children := multiprocessing.active_children()
        ):
            assert time.monotonic() < deadline, "no segment was stored within a minute"
            time.sleep(0.005)
        children[0].kill()
        killed = ended()
        assert killed.facts["passed"] == 0.0
        assert "status -9" in killed.reason
        assert bases(copied) == before
        upkeep.round(state, ["store"], ["store"], 10**12, "it")
        made = ended()
        assert made.facts["passed"] == 1.0, made.reason
        assert len(bases(copied)) == len(before) + 1
    finally:
        upkeep.close()


def sound(config: Config) -> bool:
    """Whether a verification finds nothing wrong."""
    found = verify.run(config, "store", begins=beginnings.of_destination(config, "store"))
    assert not found.damaged, found.findings[:3]
    return True
