"""Where restores end: moments that are refused between others that aren't, servers that can't hold the
result, and restores that are ended at each of their stages. Judged by the source at the same LSN.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from replicator import config
from replicator.compare import Digests, capture, capture_within, compare, hold
from replicator.debezium.envelope import lsn_text
from replicator.errors import RefusedError
from replicator.restore import opening, possible, service
from replicator.restore.errors import SchemaRefusedError, TargetFailedError, TargetRefusedError
from replicator.restore.moment import cut
from replicator.restore.moment.cut import ToXid
from replicator.restore.report import Silent
from replicator.restore.target.database import check_result
from tests.faults.capture import Capture, captured
from tests.stack.source_config import records
from tests.stack.test_restore import target as target

TABLES = """
CREATE TABLE large (id int PRIMARY KEY, v text, grown text);
INSERT INTO large SELECT n, md5(n::text), repeat(md5(n::text), 20) FROM generate_series(1, 3000) n;
CREATE TABLE notes (id serial PRIMARY KEY, what text);
CREATE TABLE parts (id int, at date, v int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO parts SELECT n, '2020-06-01', n FROM generate_series(1, 40) n;
"""


class Story:
    """A captured history with changes of the schema that can't be followed, and with what mends them."""

    def __init__(self, made: Capture, store: Path) -> None:
        self.capture = made
        self.store = store
        self.points: dict[str, tuple[str, Digests]] = {}

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.capture.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def hold(self, name: str) -> None:
        with hold(self.capture.dsn) as point:
            self.points[name] = (point.lsn, capture_within(point.connection))

    def settings(self) -> config.Config:
        path = self.capture.write_config(
            "limits",
            destinations={"store": {"type": "file", "path": str(self.store)}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
        )
        return config.load(path)

    def equals(self, name: str, dsn: str) -> None:
        at, source = self.points[name]
        service.run(self.settings(), "store", cut.parse(None, at, None, False), dsn)
        found = compare(source, capture(dsn))
        assert found.equal, "\n".join(found.lines())


@pytest.fixture(scope="module")
def story(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("limits")
    store = folder / "store"
    store.mkdir()
    with captured(stack, folder / "capture", more=TABLES, source={"reread_mb": 0}) as made:
        told = Story(made, store)
        told.run("INSERT INTO notes (what) VALUES ('first')")
        told.hold("before")
        # Its text is hidden, so only a dump after it tells how to build the schema.
        told.run("DO $$ BEGIN EXECUTE 'CREATE TABLE hidden (a int PRIMARY KEY)'; END $$")
        told.run("INSERT INTO hidden VALUES (1)", "INSERT INTO notes (what) VALUES ('hidden')")
        made.replicator(made.write_config("source"), "source", "dump")
        told.run("INSERT INTO notes (what) VALUES ('dumped')")
        told.hold("dumped")
        # Rewritten, and larger than what is sent again by itself.
        told.run("ALTER TABLE large ALTER COLUMN v TYPE int USING length(v) + id")
        told.run("UPDATE large SET v = v + 1 WHERE id < 10", "TRUNCATE parts_old")
        told.hold("lost")
        told.run("SELECT replicator.send_again('large')", "SELECT replicator.send_again('parts_old')")
        told.run("UPDATE large SET v = -v WHERE id % 2 = 0", "DELETE FROM large WHERE id % 7 = 0")
        told.run("INSERT INTO parts VALUES (7, '2020-07-07', 7)")
        told.hold("mended")
        made.settle()
        told.settings()
        made.replicator(made.directory / "limits.yaml", "sink", "store", "--once", "--accept-unproven-values")
        yield told


def test_every_moment_that_points_calls_possible_can_be_planned_and_every_other_is_refused(
    story: Story,
) -> None:
    settings = story.settings()
    found = possible.read(settings, ["store"])
    assert found.oldest is not None
    assert found.newest is not None
    assert (found.refused_newest, found.holes) == (None, ())
    reasons = (
        "ran inside a function or a block",
        "rewrote the table's rows",
        "a single partition's TRUNCATE",
    )
    for reason, refused in zip(reasons, found.refusals, strict=True):
        assert reason in refused.why
    gaps = {n for each in found.refusals for n in range(each.first.number, each.last.number + 1)}
    numbers = range(found.oldest.number, found.newest.number + 1)
    with opening.opened(settings, "store", opening.Limits(), None) as opened:
        history, planner = opened.history, opened.planner
        allowed = [number for number in numbers if number not in gaps]
        for number in numbers[1:]:
            to = ToXid(history.commits[number].xid)
            if number in allowed:
                assert planner.plan(history, to).cut.number == number
                continue
            with pytest.raises(SchemaRefusedError) as caught:
                planner.plan(history, to)
            ends = max(n for n in allowed if n < number), min(n for n in allowed if n > number)
            before, after = (lsn_text(cut.describe(n, history.commits, history.point).lsn) for n in ends)
            step = str(caught.value.next_step)
            assert step.startswith(f"the nearest possible moments: before it --to-lsn {before} ")
            assert f", after it --to-lsn {after} " in step


@pytest.mark.parametrize("name", ["before", "dumped", "mended"])
def test_the_moments_around_the_refused_ones_are_the_source(story: Story, target: str, name: str) -> None:
    story.equals(name, target)


def test_a_refused_moment_is_shown_by_points(story: Story) -> None:
    story.settings()
    done = story.capture.replicator(story.capture.directory / "limits.yaml", "points")
    assert "each of which can be the last one, but for these:" in done.stdout
    assert done.stdout.count("refused from transaction") == 3
    at, _ = story.points["lost"]
    refused = story.capture.replicator(
        story.capture.directory / "limits.yaml", "restore", "--to-lsn", at, "--plan", check=False
    )
    assert refused.returncode == 4
    assert "the nearest possible moments: before it --to-lsn" in refused.stderr


def test_what_sends_a_table_again_is_for_those_who_may(story: Story) -> None:
    role = f"nobody_{uuid4().hex[:8]}"
    story.run(f"CREATE ROLE {role}", "CREATE SCHEMA aside CREATE TABLE apart (a int)")
    try:
        with psycopg.connect(story.capture.dsn, autocommit=True) as connection:
            with pytest.raises(psycopg.Error, match="no table that is captured"):
                connection.execute("SELECT replicator.send_again('aside.apart')")
            connection.execute(f"GRANT USAGE ON SCHEMA replicator TO {role}; SET ROLE {role}".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT replicator.send_again('public.large')")
    finally:
        story.run("DROP SCHEMA aside CASCADE", f"DROP OWNED BY {role}", f"DROP ROLE {role}")


class Ended(Silent):
    """A person who presses Ctrl-C when a phase begins, or when a table is done."""

    def __init__(self, when: str) -> None:
        self._when = when

    def phase(self, name: str) -> None:
        if name == self._when:
            raise KeyboardInterrupt

    def loaded(self, table: str, rows: int, size: int) -> None:
        if self._when == "a table is loaded":
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "when",
    [
        *("building the schema", "loading rows", "a table is loaded", "finishing", "comparing definitions"),
        *("collecting statistics", "computing digests"),
    ],
)
def test_a_restore_that_is_interrupted_at_any_stage_is_no_result(
    story: Story, target: str, when: str
) -> None:
    at, _ = story.points["mended"]
    to, limits = cut.parse(None, at, None, False), opening.Limits(analyze=True, digests=True)
    with pytest.raises(KeyboardInterrupt):
        service.run(story.settings(), "store", to, target, limits=limits, progress=Ended(when))
    with psycopg.connect(target) as connection:
        row = connection.execute("SELECT state, error FROM replicator_restore.state").fetchone()
    assert row == ("failed", "interrupted by a person")
    with pytest.raises(TargetRefusedError, match="not complete"):
        check_result(target)
    with pytest.raises(TargetRefusedError, match="FAILED restore"):
        service.run(story.settings(), "store", to, target)


def test_a_restore_that_is_interrupted_before_it_writes_leaves_the_target_empty(
    story: Story, target: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        service.run(story.settings(), "store", cut.Latest(), target, progress=Ended("reading the history"))
    story.equals("mended", target)


def test_a_disk_that_is_too_small_is_seen_before_anything_is_written(
    story: Story, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 0, 100))
    with pytest.raises(TargetRefusedError, match=r"MiB free, and compressed the rows alone take") as caught:
        service.run(story.settings(), "store", cut.Latest(), target)
    assert "Nothing was written" in caught.value.message
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT to_regclass('replicator_restore.state')").fetchone() == (None,)


@pytest.fixture
def small_disk(story: Story, stack: Endpoints, tmp_path: Path) -> Iterator[str]:
    """An empty database on a disk with room for little more than itself."""
    data = psycopg.connect(stack.postgres.dsn, autocommit=True)
    with data as connection:
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
        assert row is not None
        directory = Path(row[0])
        if os.geteuid() != 0 or not directory.exists():
            pytest.skip("only root can mount a small disk, and only where the server is this machine's")
        row = connection.execute("SELECT pg_database_size('template1') + 1000000").fetchone()
        assert row is not None
        size, name = row[0], f"small{uuid4().hex[:8]}"
        place = directory.parent / name
        place.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            place.rmdir()
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
        try:
            shutil.chown(place, directory.owner(), directory.group())
            place.chmod(0o700)
            connection.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'".encode())
            # By default pages are written when there is time for it, and take no room before.
            connection.execute(f"CREATE DATABASE {name} TABLESPACE {name} STRATEGY file_copy".encode())
            try:
                yield stack.postgres.dsn_of(name)
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        finally:
            connection.execute(f"DROP TABLESPACE IF EXISTS {name}".encode())
            subprocess.run(["umount", str(place)], check=True)
            place.rmdir()


def test_a_disk_that_is_full_in_the_middle_is_said_so_and_the_target_is_no_result(
    story: Story, small_disk: str
) -> None:
    with pytest.raises(TargetFailedError, match="no disk space left") as caught:
        service.run(story.settings(), "store", cut.Latest(), small_disk)
    assert "larger disk" in str(caught.value.next_step)
    with pytest.raises(TargetRefusedError, match=r"(failed|running), not complete"):
        check_result(small_disk)


def test_a_snapshot_that_was_begun_again_behind_its_slot_is_refused(stack: Endpoints, tmp_path: Path) -> None:
    """The second attempt finds the slot of the first and names its LSN, and shows what came since."""
    select = "snapshot.select.statement.overrides"
    failing = {select: "replicator.ddl_log,public.aaa", f"{select}.public.aaa": "SELECT * FROM public.later"}
    source = {"exact_values": stack.converter.exact_values, "overrides": failing}
    table = "CREATE TABLE aaa (id int)"
    with captured(stack, tmp_path / "capture", more=table, source=source, flowing=False) as made:
        told = Story(made, tmp_path / "store")
        told.store.mkdir()
        records(
            told.settings(), "notification", lambda notes: [n["type"] for n in notes].count("STARTED") > 1
        )
        told.run("INSERT INTO aaa VALUES (1)", "CREATE VIEW later AS SELECT * FROM aaa")
        records(told.settings(), "notification", lambda notes: notes[-1]["type"] == "COMPLETED")
        made.settle()
        made.replicator(made.directory / "limits.yaml", "sink", "store", "--once", "--accept-unproven-values")
        with pytest.raises(RefusedError, match="Debezium began it again") as caught:
            service.plan(told.settings(), "store", cut.Latest())
        assert "connect remove --purge" in str(caught.value.next_step)
