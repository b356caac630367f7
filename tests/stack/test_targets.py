"""What is restored, and into what: marks, a part of the tables, one owner's rows; judged by the source."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import psycopg
import pyarrow.parquet
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql
from psycopg.types.string import TextLoader

import replicator
from deploy.local.endpoints import Endpoints
from replicator import config
from replicator.compact import service as compaction
from replicator.debezium.envelope import lsn_text, parse_lsn
from replicator.errors import ConfigError, RefusedError
from replicator.restore import possible, service
from replicator.restore.errors import HoleError, NotYetError, TargetRefusedError
from replicator.restore.export import files, to_kafka
from replicator.restore.moment import cut
from replicator.restore.report import Silent
from replicator.restore.selection import Owner, Selection
from replicator.retention import service as retention
from tests.faults import topics
from tests.faults.capture import ROOT, Capture, captured
from tests.faults.traffic import Traffic
from tests.stack.capture_by_hand import schema_text

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE cities (id int PRIMARY KEY, name text);
CREATE TABLE vendors (id serial PRIMARY KEY, city int REFERENCES cities, name text);
CREATE TABLE reviews (id int PRIMARY KEY, vendor int REFERENCES vendors, stars int);
CREATE TABLE bookings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), wedding_id bigint NOT NULL REFERENCES weddings,
    vendor int REFERENCES vendors, price numeric(10,2), mood mood DEFAULT 'ok');
CREATE TABLE meals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, guest bigint REFERENCES guests ON DELETE CASCADE,
    after bigint REFERENCES meals, what text);
CREATE TABLE activity (wedding_id bigint, what text);
CREATE TABLE instalments (
    id int, due date, wedding_id bigint REFERENCES weddings, PRIMARY KEY (id, due)) PARTITION BY RANGE (due);
CREATE TABLE instalments_old PARTITION OF instalments FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE instalments_new PARTITION OF instalments FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE DOMAIN amount AS numeric(9,3);
CREATE TABLE kinds (
    id int PRIMARY KEY, small int2, big int8, price numeric(12,2), due amount, free numeric, ok bool,
    day date, hour time, local timestamp, at timestamptz, raw bytea, key uuid, tags text[], numbers int[],
    prices numeric(10,2)[], mood mood, doc jsonb, f4 float4, f8 float8, span int4range, "odd Name" text,
    far timestamptz, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO kinds SELECT n, n, n * 10000000000, n * 1.25, n / 8.0, n * 1.000, n % 2 = 0,
    date '1960-02-28' + n, time '00:00' + n * interval '1.000001 s',
    timestamp '2026-01-01' + n * interval '1.5 s',
    timestamptz '2026-01-01 12:00+01' + n * interval '1 s', decode(md5(n::text), 'hex'), md5(n::text)::uuid,
    ARRAY['a"b', NULL, ''], ARRAY[n, NULL, -n], ARRAY[n * 1.5], 'sad', jsonb_build_object('n', n), n / 2.0,
    n / 4.0, int4range(n, 2 * n), 'ä' || n,
    CASE n WHEN 3 THEN timestamptz 'infinity' ELSE '2026-01-01Z' END
    FROM generate_series(1, 40) n;
INSERT INTO kinds (id) VALUES (1000);
CREATE VIEW guest_names AS SELECT id, name FROM guests;
CREATE VIEW guest_meals AS SELECT name, what FROM guests JOIN meals ON guest = guests.id;
INSERT INTO cities SELECT n, 'city ' || n FROM generate_series(1, 9) n;
INSERT INTO vendors (city, name) SELECT 1 + n % 9, 'vendor ' || n FROM generate_series(1, 30) n;
INSERT INTO reviews SELECT n, 1 + n % 30, n % 5 FROM generate_series(1, 60) n;
INSERT INTO bookings (wedding_id, vendor, price)
    SELECT 1 + n % 40, 1 + n % 7, n * 1.5 FROM generate_series(1, 120) n;
INSERT INTO meals (guest, what) SELECT id, 'meal ' || id FROM guests;
INSERT INTO activity SELECT n % 40, 'did ' || n % 3 FROM generate_series(1, 200) n;
INSERT INTO instalments SELECT n, date '2020-06-01' + n, 1 + n % 40 FROM generate_series(1, 300) n;
"""
CHANGES = (
    "UPDATE weddings SET budget = budget",
    "INSERT INTO meals (after, what) SELECT id, 'second helping' FROM meals WHERE id % 7 = 0",
    "INSERT INTO payments (wedding_id, number, amount) SELECT n, 1000, n FROM generate_series(5, 9) n",
    "UPDATE kinds SET price = -price, tags = '{}', numbers = NULL WHERE id % 5 = 0",
    "DELETE FROM kinds WHERE id % 7 = 0",
    "UPDATE activity SET what = what || '!' WHERE wedding_id = 7 AND what = 'did 1'",
    "DELETE FROM activity WHERE what = 'did 2' AND wedding_id IN (7, 8)",
    "UPDATE bookings SET wedding_id = 7 WHERE wedding_id = 9",
    "UPDATE bookings SET vendor = 29 WHERE wedding_id = 7 AND vendor = 2",
    "UPDATE instalments SET due = due + 200 WHERE id < 50",
)
MIGRATION = ("DELETE FROM meals WHERE id % 3 = 0 AND after IS NULL AND NOT EXISTS "
             "(SELECT FROM meals m WHERE m.after = meals.id)", "TRUNCATE activity",
             "UPDATE weddings SET budget = budget + 1")  # fmt: skip


class Story:
    """A captured history with marks in it, its segments in a directory, and the source at rest."""

    def __init__(self, capture: Capture, store: Path, role: str) -> None:
        self.capture = capture
        self.store = store
        self.role = role
        self.rows: dict[str, list[str]] = {}
        """Of the moment of the mark: each table's rows as PostgreSQL prints them."""

        self.early = 0
        """A position of the WAL before the changes."""
        self.based = store
        """The same segments, with a base there, and another one of the end."""

    def now(self) -> int:
        with psycopg.connect(self.capture.dsn) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert row is not None
        return parse_lsn(row[0])

    @contextmanager
    def instead(self, store: Path) -> Iterator[None]:
        """Restores read this copy."""
        usual, self.store = self.store, store
        try:
            yield
        finally:
            self.store = usual

    def settings(self) -> config.Config:
        path = self.capture.write_config(
            "targets",
            destinations={"store": {"type": "file", "path": str(self.store)}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
        )
        return config.load(path)

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.capture.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def sink(self) -> None:
        """Everything until now into segments of its own."""
        self.capture.settle()
        self.settings()
        path = self.capture.directory / "targets.yaml"
        self.capture.replicator(path, "sink", "store", "--once", "--accept-unproven-values")

    def mark(self, name: str) -> int:
        """As the application does it: a role without any right but this one."""
        with psycopg.connect(self.capture.dsn, autocommit=True) as connection:
            connection.execute(f'SET ROLE "{self.role}"'.encode())
            row = connection.execute("SELECT replicator.mark(%s)", (name,)).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="module")
def story(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("targets")
    store = folder / "store"
    store.mkdir()
    role = f"app_{uuid4().hex[:8]}"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
        admin.execute(f'CREATE ROLE "{role}"'.encode())
        try:
            with captured(stack, folder / "capture", more=TABLES, source={"mark_roles": [role]}) as made:
                told = Story(made, store, role)
                with Traffic(made.dsn, seed=3, rows=5, workers=2, changes=500) as traffic:
                    traffic.join()
                made.settle()
                told.early = told.now()
                told.sink()
                told.run(*CHANGES)
                told.mark("before the migration")
                told.rows = {name: printed(made.dsn, name) for name in tables(made.dsn)}
                told.sink()
                told.run(*MIGRATION)
                told.sink()
                told.run("UPDATE weddings SET budget = budget + 1")
                told.mark("twice")
                told.mark("twice")
                told.sink()
                told.based = folder / "based"
                shutil.copytree(store, told.based)
                with told.instead(told.based):
                    for to in (cut.ToLsn(told.early), cut.Latest()):
                        assert compaction.run(told.settings(), "store", to).made
                yield told
        finally:
            admin.execute(f'DROP ROLE "{role}"'.encode())


@pytest.fixture(params=["from the changes", "from a base"])
def either(story: Story, request: pytest.FixtureRequest) -> Iterator[Story]:
    """The same moments, also where restores begin with a base."""
    with story.instead(story.based if request.param == "from a base" else story.store):
        yield story


def based(story: Story) -> str | None:
    """The base that a restore to the mark begins with."""
    found = sorted(path.stem for path in story.store.glob("v1/bases/*.json"))
    return found[0] if found else None


@pytest.fixture
def target(stack: Endpoints) -> Iterator[str]:
    """An empty database."""
    name = f"t{uuid4().hex[:10]}"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield stack.postgres.dsn_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def tables(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
                "AND relnamespace = 'public'::regnamespace ORDER BY 1"
            )
        ]


def printed(dsn: str, table: str, where: str = "true") -> list[str]:
    with psycopg.connect(dsn) as connection:
        query = sql.SQL("SELECT t::text FROM {} t WHERE {} ORDER BY 1").format(
            sql.Identifier(table), sql.SQL(where)
        )
        return [text for (text,) in connection.execute(query)]


def test_a_restore_to_a_mark_ends_with_the_transaction_that_set_it(either: Story, target: str) -> None:
    story = either
    report = service.run(story.settings(), "store", cut.ToMark("before the migration"), target)
    assert report.base == based(story)
    assert tables(target) == sorted(story.rows)
    for name, rows in story.rows.items():
        assert printed(target, name) == rows, name


def test_marks_and_ends_are_shown_and_what_is_beyond_them_is_refused_with_both(either: Story) -> None:
    story = either
    found = possible.read(story.settings(), ["store"])
    assert [mark.name for mark in found.marks] == ["before the migration", "twice", "twice"]
    assert found.oldest is not None
    assert found.newest is not None
    assert found.oldest.number == 0 < found.newest.number <= found.stored
    assert (found.holes, found.refused, found.refused_newest) == ((), None, None)
    with pytest.raises(RefusedError, match="2 moments have the name 'twice'"):
        service.plan(story.settings(), "store", cut.ToMark("twice"))
    for target, error in ((cut.ToTime(0), RefusedError), (cut.ToTime(2**52), NotYetError)):
        with pytest.raises(error) as caught:
            service.plan(story.settings(), "store", target)
        assert str(found.newest) in caught.value.message
    if based(story) is None:
        assert str(found.oldest) in caught.value.message
    done = story.capture.replicator(story.capture.directory / "targets.yaml", "points", "--json")
    shown = json.loads(done.stdout)
    assert shown["oldest"] == found.oldest.as_json()
    assert [mark["name"] for mark in shown["marks"]] == ["before the migration", "twice", "twice"]


def has_records(segment: Path) -> bool:
    with segment.open("rb") as file:
        return next(fastavro.reader(file), None) is not None


def test_a_hole_ends_what_is_possible_before_it(story: Story, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(story.store, copy)
    folders = copy.glob(f"v1/changes/{story.capture.name}.public.weddings/*/*")
    # A segment may have nothing but a transaction's marker in it, and a hole before one at the end need not
    # matter to a plan.
    longest = max((sorted(filter(has_records, folder.iterdir())) for folder in folders), key=len)
    assert len(longest) > 2, "no chain is long enough to have a hole inside"
    longest[-2].unlink()
    settings = story.settings()
    path = story.capture.write_config("holed", destinations={"store": {"type": "file", "path": str(copy)}})
    holed = possible.read(config.load(path), ["store"])
    whole = possible.read(settings, ["store"])
    assert [hole.chain.topic for hole in holed.holes] == [f"{story.capture.name}.public.weddings"]
    assert holed.newest is not None
    assert whole.newest is not None
    assert holed.newest.number < whole.newest.number
    assert holed.refused_newest is None
    made = service.plan(config.load(path), "store", cut.ToLsn(holed.newest.lsn))
    assert made.cut.number == holed.newest.number
    with pytest.raises(HoleError, match="has a hole") as caught:
        service.plan(config.load(path), "store", cut.ToXid(whole.newest.xid or 0))
    assert f"before it: --to-lsn {lsn_text(holed.newest.lsn)} (" in str(caught.value.next_step)


def test_named_tables_come_with_all_that_can_be_without_the_others(either: Story, target: str) -> None:
    story = either
    selection = Selection(tables=("guests", "public.weddings", "instalments"))
    to = cut.ToMark("before the migration")
    report = service.run(story.settings(), "store", to, target, selection=selection)
    assert tables(target) == ["guests", "instalments", "weddings"]
    for name in tables(target):
        assert printed(target, name) == story.rows[name], name
    assert printed(target, "guest_names") == printed_view(story)
    assert report.went_with_tables == ["view public.guest_meals"]
    assert report.selection is not None
    assert "public.meals" in report.selection["left_out"]
    with psycopg.connect(target) as connection:
        keys = connection.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND conparentid = 0 ORDER BY 1"
        ).fetchall()
    assert keys == [("guests",), ("instalments",)]


def printed_view(story: Story) -> list[str]:
    """The view's rows at the mark; guests weren't changed after it."""
    return printed(story.capture.dsn, "guest_names")


def test_one_weddings_rows_come_with_all_that_hangs_on_them(either: Story, target: str) -> None:
    """The oracle is the source itself: guests, bookings and instalments are as they were at the mark."""
    story = either
    owner = Owner("public.weddings", "wedding_id", ("7", "8"))
    to = cut.ToMark("before the migration")
    report = service.run(story.settings(), "store", to, target, selection=Selection(owner=owner))
    dsn = story.capture.dsn
    mine = "wedding_id IN (7, 8)"
    assert printed(target, "weddings") == [
        row for row in story.rows["weddings"] if row.startswith(("(7,", "(8,"))
    ]
    for name in ("guests", "bookings", "payments", "instalments"):
        assert printed(target, name) == printed(dsn, name, mine), name
        assert printed(target, name), name
    assert printed(target, "activity") == [
        row for row in story.rows["activity"] if row.startswith(("(7,", "(8,"))
    ]
    assert set(printed(target, "meals")) <= set(story.rows["meals"])
    with psycopg.connect(target) as connection:
        counted = connection.execute(
            "SELECT count(*) FILTER (WHERE after IS NULL), count(*) FILTER (WHERE after IS NOT NULL) "
            "FROM meals"
        ).fetchone()
    first = [row for row in story.rows["meals"] if row.split(",")[1] in guests(dsn, mine)]
    ids = {row[1:].split(",")[0] for row in first}
    second = [row for row in story.rows["meals"] if row.split(",")[2] in ids]
    assert counted == (len(first), len(second))
    assert second, "the story has no second helping for these weddings"
    used = "id IN (SELECT vendor FROM bookings WHERE wedding_id IN (7, 8))"
    assert printed(target, "vendors") == printed(dsn, "vendors", used)
    assert printed(target, "cities") == printed(
        dsn, "cities", f"id IN (SELECT city FROM vendors WHERE {used})"
    )
    assert "reviews" not in tables(target)
    assert "visits" not in tables(target)
    rows = {table.table: table.rows for table in report.tables}
    assert rows["public.meals"] == len(first) + len(second)


def guests(dsn: str, where: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {str(each) for (each,) in connection.execute(f"SELECT id FROM guests WHERE {where}".encode())}


def test_a_wedding_that_was_not_there_is_refused_and_leaves_no_result(story: Story, target: str) -> None:
    selection = Selection(owner=Owner("public.weddings", "wedding_id", ("7", "4711")))
    with pytest.raises(RefusedError, match="no row with id 4711"):
        service.run(
            story.settings(), "store", cut.ToMark("before the migration"), target, selection=selection
        )
    with psycopg.connect(target) as connection:
        state = connection.execute("SELECT state FROM replicator_restore.state").fetchone()
    assert state == ("failed",)


AS_PYTHON = (
    "id, small, big, price, due, free::text, ok, day, hour, local, at, raw, key::text, tags, numbers, "
    'prices, mood::text, doc::text, f4, f8, span::text, "odd Name"'
)


def kinds(story: Story) -> list[tuple[Any, ...]]:
    """The source's rows as Python has them; they weren't changed after the mark."""
    with psycopg.connect(story.capture.dsn, options="-c TimeZone=UTC") as connection:
        return connection.execute(f"SELECT {AS_PYTHON} FROM kinds ORDER BY id".encode()).fetchall()


def _id(row: Any) -> int:
    return int(row["id"])


def as_rows(table: Any) -> list[tuple[Any, ...]]:
    names = [name for name in table.schema.names if name != "far"]
    return [tuple(row[name] for name in names) for row in table.sort_by("id").to_pylist()]


def test_a_table_of_a_moment_is_read_as_arrow_without_a_database(either: Story) -> None:
    story = either
    with replicator.open_catalog(f"file://{story.store}") as catalog:
        then, now = catalog.at_mark("before the migration"), catalog.latest()
        assert (then.plan.base and then.plan.base.id) == based(story)
        assert next(mark.name for mark in catalog.possible.marks) == "before the migration"
        found = then.table("kinds", as_text=["far"])
        assert as_rows(found) == kinds(story)
        assert "twice" not in found.schema.names
        assert then.table("public.activity").num_rows == len(story.rows["activity"]) > 0
        assert now.table("activity").num_rows == 0
        assert then.table("instalments").num_rows == len(story.rows["instalments"])
        with pytest.raises(RefusedError, match=r"public\.kinds\.far .*infinity"):
            then.table("kinds")
        with pytest.raises(RefusedError, match="no such table"):
            then.table("guest")
        far = {row["id"]: row["far"] for row in found.select(["id", "far"]).to_pylist()}
    with psycopg.connect(story.capture.dsn) as connection:
        wanted: dict[int, Any] = dict(
            connection.execute("SELECT id, far FROM kinds WHERE id <> 3").fetchall()
        )
        for number, text in far.items():
            if number != 3:
                assert connection.execute("SELECT %s::timestamptz", (text,)).fetchone() == (wanted[number],)
    assert far[3] == "infinity"


@pytest.mark.parametrize("kind", ["parquet", "avro"])
def test_a_moment_is_written_as_files_or_not_at_all(
    either: Story, tmp_path: Path, kind: files.Format
) -> None:
    story = either
    to, there = cut.ToMark("before the migration"), tmp_path / "files"
    with pytest.raises(RefusedError, match=r"--as-text far"):
        files.write(story.settings(), "store", to, there, kind)
    assert list(tmp_path.iterdir()) == []
    report = files.write(story.settings(), "store", to, there, kind, as_text=["public.kinds.far"])
    assert report.base == based(story)
    manifest = json.loads((there / files.MANIFEST).read_text())
    assert {path.name for path in there.iterdir()} == {
        files.MANIFEST,
        *(each["file"] for each in manifest["files"]),
    }
    assert {each["table"]: each["rows"] for each in manifest["files"]} == {
        f"public.{name}": len(rows) for name, rows in story.rows.items()
    }
    for each in manifest["files"]:
        assert hashlib.sha256((there / each["file"]).read_bytes()).hexdigest() == each["sha256"]
    assert manifest["restore"]["cut"] == report.cut.as_json()
    if kind == "parquet":
        assert as_rows(pyarrow.parquet.read_table(there / "public.kinds.parquet")) == kinds(story)
    else:
        with (there / "public.kinds.avro").open("rb") as file:
            rows: list[Any] = sorted(fastavro.reader(file), key=_id)
        wanted = kinds(story)
        assert [tuple(row.values())[:3] for row in rows] == [row[:3] for row in wanted]
        assert [row["price"] for row in rows] == [row[3] for row in wanted]
        assert [row["odd_Name"] for row in rows] == [row[-1] for row in wanted]


@pytest.fixture
def prefix(story: Story) -> Iterator[str]:
    """Topics of this name are gone afterwards."""
    name = f"restored{uuid4().hex[:8]}"
    yield name
    there = topics.of_installation(story.capture.bootstrap, name)
    if there:
        admin = AdminClient({"bootstrap.servers": story.capture.bootstrap})
        for future in admin.delete_topics(there).values():
            with suppress(KafkaException):  # one that was just deleted may still be listed
                future.result(30)


def committed(story: Story, prefix: str) -> dict[str, list[tuple[Any, Any]]]:
    """What a consumer of committed records sees in these topics: keys and values, decoded."""
    found: dict[str, list[tuple[Any, Any]]] = {
        name: [] for name in topics.of_installation(story.capture.bootstrap, prefix)
    }
    schemas: dict[int, Any] = {}

    def decoded(wire: Any) -> Any:
        if wire is None:
            return None
        number = int.from_bytes(wire[1:5], "big")
        if number not in schemas:
            schemas[number] = fastavro.parse_schema(json.loads(schema_text(story.capture.endpoints, number)))
        return fastavro.schemaless_reader(io.BytesIO(wire[5:]), schemas[number], None)

    for message in topics.records(story.capture.bootstrap, topics.ends(story.capture.bootstrap, prefix)):
        topic = message.topic() or ""
        manifest = topic == f"{prefix}.{to_kafka.MANIFEST}"
        value: Any = message.value()
        found[topic].append((decoded(message.key()), json.loads(value) if manifest else decoded(value)))
    return {topic: sorted(records, key=repr) for topic, records in found.items()}


def as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value


def test_a_moment_is_written_as_topics_that_are_seen_whole(story: Story, prefix: str) -> None:
    """The oracle is the source itself; of tables that were changed after the mark, the number of rows."""
    to = cut.ToMark("before the migration")
    report = to_kafka.write(story.settings(), "store", to, prefix, as_text=["public.kinds.far"])
    found = committed(story, prefix)
    ((_, manifest),) = found.pop(f"{prefix}.restore")
    assert manifest["restore"]["cut"] == report.cut.as_json()
    assert sorted(found) == sorted(each["topic"] for each in manifest["topics"])
    for each in manifest["topics"]:
        assert each["rows"] == len(found[each["topic"]]) == len(story.rows[each["table"].split(".")[1]])
    keys = {each["table"]: each["key"] for each in manifest["topics"]}
    assert (keys["public.activity"], keys["public.instalments"]) == ([], ["id", "due"])
    unchanged = ("guests", "payments", "bookings", "vendors", "cities", "reviews", "instalments", "kinds")
    with psycopg.connect(story.capture.dsn, options="-c TimeZone=UTC") as connection:
        for kind in ("uuid", "jsonb", "numeric"):  # PostgreSQL's text, as the records have it
            connection.adapters.register_loader(kind, TextLoader)
        for name in unchanged:
            records = found[f"{prefix}.public.{name}"]
            fields = [field for field in records[0][1] if field != "far"]
            columns = AS_PYTHON if name == "kinds" else ", ".join(f'"{each}"' for each in fields)
            rows = connection.execute(f"SELECT {columns} FROM {name}".encode()).fetchall()
            wanted = sorted(repr(as_text([*row])) for row in rows)
            kept = [[as_text(value[each]) for each in fields] for _, value in records]
            assert sorted(map(repr, kept)) == wanted, name
            assert records, name
            for key, value in records:
                assert key == {each: value[each] for each in keys[f"public.{name}"]}
    assert [key for key, _ in found[f"{prefix}.public.activity"]] == [None] * len(story.rows["activity"])


def test_topics_that_hold_records_and_those_that_are_captured_are_refused(story: Story, prefix: str) -> None:
    to, some = cut.ToMark("before the migration"), Selection(tables=("cities", "vendors"))
    to_kafka.write(story.settings(), "store", to, prefix, selection=some)
    before = committed(story, prefix)
    with pytest.raises(TargetRefusedError, match=rf"{prefix}\.public\.cities is there and holds records"):
        to_kafka.write(
            story.settings(), "store", to, prefix, selection=Selection(tables=("cities", "guests"))
        )
    assert committed(story, prefix) == before
    for taken in (story.capture.name, f"{story.capture.name}.again", "replicator", "a b"):
        with pytest.raises(ConfigError, match="--to-kafka"):
            to_kafka.write(story.settings(), "store", to, taken)


class Interrupted(Silent):
    """A person who presses Ctrl-C when all rows are written and nothing is committed."""

    def phase(self, name: str) -> None:
        if name == "committing":
            raise KeyboardInterrupt


def test_a_restore_into_topics_that_is_ended_shows_nothing_and_can_be_done_again(
    story: Story, prefix: str
) -> None:
    to, some = cut.ToMark("before the migration"), Selection(tables=("guests", "activity"))
    with pytest.raises(KeyboardInterrupt):
        to_kafka.write(story.settings(), "store", to, prefix, selection=some, progress=Interrupted())
    assert topics.of_installation(story.capture.bootstrap, prefix) == []
    story.settings()
    killed = (
        "import os, signal, sys\n"
        "from replicator import config\n"
        "from replicator.restore import report, selection\n"
        "from replicator.restore.export import to_kafka\n"
        "from replicator.restore.moment import cut\n"
        "class Killed(report.Silent):\n"
        "    def phase(self, name):\n"
        "        if name == 'committing': os.kill(os.getpid(), signal.SIGKILL)\n"
        "to_kafka.write(config.load(__import__('pathlib').Path(sys.argv[1])), 'store',\n"
        "    cut.ToMark('before the migration'), sys.argv[2], progress=Killed(),\n"
        "    selection=selection.Selection(tables=('guests', 'activity')))\n"
    )
    path = story.capture.directory / "targets.yaml"
    done = subprocess.run([sys.executable, "-c", killed, str(path), prefix], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    # The brokers hold all of it, and nobody who reads committed records sees any.
    assert set(topics.of_installation(story.capture.bootstrap, prefix)) == {
        f"{prefix}.{name}" for name in ("public.guests", "public.activity", "restore")
    }
    assert list(committed(story, prefix).values()) == [[], [], []]
    to_kafka.write(story.settings(), "store", to, prefix, selection=some)
    seen = committed(story, prefix)
    assert len(seen[f"{prefix}.public.guests"]) == len(story.rows["guests"])
    assert len(seen[f"{prefix}.restore"]) == 1


def test_one_weddings_rows_come_as_files_where_no_foreign_key_is_asked(story: Story, tmp_path: Path) -> None:
    owner = Owner("public.weddings", "wedding_id", ("7",))
    to = cut.ToMark("before the migration")
    with pytest.raises(RefusedError, match="only foreign keys tell"):
        files.write(
            story.settings(), "store", to, tmp_path / "all", "parquet", selection=Selection(owner=owner)
        )
    some = Selection(tables=("weddings", "guests", "activity"), owner=owner)
    files.write(story.settings(), "store", to, tmp_path / "some", "parquet", selection=some)
    found = pyarrow.parquet.read_table(tmp_path / "some" / "public.activity.parquet")
    assert found.num_rows == len([row for row in story.rows["activity"] if row.startswith("(7,")]) > 0


def test_the_example_prints_the_guest_list_of_then(story: Story) -> None:
    with psycopg.connect(story.capture.dsn) as connection:
        named = connection.execute(
            'SELECT name FROM guests WHERE wedding_id = 7 ORDER BY name COLLATE "C"'
        ).fetchall()
        moment = connection.execute("SELECT at FROM replicator.mark_log ORDER BY id DESC LIMIT 1").fetchone()
    assert moment is not None
    done = subprocess.run(
        [sys.executable, "examples/guest_list.py", f"file://{story.store}", moment[0].isoformat(), "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{len(named)} guests after transaction")
    assert [line.strip() for line in lines[1 : 1 + len(named)]] == [name for (name,) in named]


def test_the_package_restores_by_a_call(story: Story, target: str) -> None:
    report = replicator.restore(
        story.settings(), target=target, to_mark="before the migration", tables=["cities", "vendors"]
    )
    assert report.rows == len(story.rows["cities"]) + len(story.rows["vendors"])
    assert printed(target, "vendors") == story.rows["vendors"]


def test_where_history_before_a_base_is_gone_its_marks_and_the_first_moment_are_told(
    story: Story, tmp_path: Path
) -> None:
    shutil.copytree(story.based, tmp_path / "store")
    with story.instead(tmp_path / "store"):
        settings = story.settings()
        removed = retention.run(settings, "store", apply=True, keep_days=0)
        assert removed.removed
        found = possible.read(settings, ["store"])
        assert found.oldest is not None
        assert removed.plan.floor is not None
        assert found.oldest.lsn == removed.plan.floor.lsn
        assert found.refused is None
        with pytest.raises(RefusedError, match="removed by `replicator retention`") as caught:
            service.plan(settings, "store", cut.ToMark("before the migration"))
        assert "--to-lsn" in str(caught.value.next_step)
        with pytest.raises(RefusedError, match="2 moments have the name 'twice'"):
            service.plan(settings, "store", cut.ToMark("twice"))
