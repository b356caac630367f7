"""Restores of the real path (PostgreSQL, Debezium, Kafka, the sink), judged by the source at the same LSN."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import fastavro
import psycopg
import pytest
import yaml
from pydantic import SecretStr

from deploy.local.endpoints import Endpoints
from replicator import config
from replicator.compare import Digests, capture, capture_within, compare, hold
from replicator.debezium.envelope import lsn_text
from replicator.errors import IntegrityError, RefusedError
from replicator.points import ChainEnd, RestorePoint, Signer, new_key, public_pem
from replicator.points.stored import publish
from replicator.restore import service
from replicator.restore.errors import (
    HoleError,
    NotYetError,
    PromiseBrokenError,
    ProofError,
    TargetRefusedError,
)
from replicator.restore.moment import cut
from replicator.restore.plan import Plan
from replicator.restore.report import Report
from replicator.restore.target.database import check_result
from replicator.segment import container, read
from replicator.segment.name import SegmentName
from replicator.segment.schema import record_schema
from replicator.storage.file import FileStore
from replicator.verify import marks
from tests.faults.capture import ROOT, Capture, captured
from tests.faults.traffic import Traffic

KEY = new_key()
POINTS = config.Control(signing_key=SecretStr(KEY))
TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE people (
    id bigserial PRIMARY KEY, wedding_id int, name text NOT NULL, mood mood DEFAULT 'ok',
    tags text[] DEFAULT '{}',
    amount numeric(12,2) DEFAULT 5, at timestamptz DEFAULT now(), born date, since timestamp, body text,
    secret bytea, during tsrange, half numeric GENERATED ALWAYS AS (amount / 2) STORED,
    "odd Name" int, "1st" text);
CREATE INDEX ON people (wedding_id);
CREATE UNIQUE INDEX people_name ON people (lower(name), id);
CREATE TABLE pets (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint REFERENCES people ON DELETE CASCADE,
    seen uuid);
CREATE TABLE steps (wedding_id int, at timestamp, what text, n float8);
CREATE TABLE stays (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE stays_old PARTITION OF stays FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE stays_new PARTITION OF stays FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE INDEX ON stays (v);
CREATE TABLE scratch (k int PRIMARY KEY, v text);
CREATE TABLE nothing (k int PRIMARY KEY);
CREATE DOMAIN short AS varchar(10) CHECK (value <> 'no');
CREATE TABLE plain (
    k uuid PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, n numeric,
    m numeric(14,4), t text, v varchar(40), c char(5), x name, d short, j json, jb jsonb, raw bytea, day date,
    hour time, at timestamp, zoned timestamptz, mood mood, texts text[], numbers int[], moods mood[],
    days date[], amounts numeric(10,2)[]);
CREATE VIEW adults AS SELECT id, name FROM people;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM people;
CREATE SEQUENCE invoices START 100 INCREMENT 7;
CREATE SEQUENCE folio; CREATE SEQUENCE coin;
CREATE SEQUENCE pass; CREATE SEQUENCE gate; CREATE SEQUENCE ticket;
CREATE TABLE letters (
    no text PRIMARY KEY DEFAULT 'INV-' || nextval('folio'), v numeric DEFAULT nextval('coin')
);
ALTER SEQUENCE folio OWNED BY letters.no; ALTER SEQUENCE coin OWNED BY letters.v;
INSERT INTO letters SELECT FROM generate_series(1, 5); INSERT INTO letters (v) VALUES ('1e30'), ('NaN');
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER shouting BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO people (wedding_id, name, born, since, body, secret, during, "odd Name")
    SELECT n % 7, 'p' || n, date '2000-01-01' + n, timestamp '2020-02-02' + n * interval '1.1 s',
    repeat(md5(n::text), CASE WHEN n % 50 = 0 THEN 300 ELSE 1 END), decode(md5(n::text), 'hex'),
    '[2020-01-01,)', n
    FROM generate_series(1, 900) n;
INSERT INTO pets (owner, seen) SELECT n, md5(n::text)::uuid FROM generate_series(1, 300) n;
INSERT INTO steps SELECT n % 7, timestamp '2020-01-01' + n * interval '1 s', 'm' || n % 3, n / 3.0
    FROM generate_series(1, 200) n;
INSERT INTO steps SELECT * FROM steps LIMIT 50;
INSERT INTO stays SELECT n, date '2020-06-01' + n % 500, 'v' || n FROM generate_series(1, 300) n;
INSERT INTO scratch VALUES (1, 'a'), (2, '');
INSERT INTO plain SELECT md5(n::text)::uuid, n % 2 = 0, n - 400, n * -54321, n * 987654321987, n + 3000000000,
    n / 7.0, n / 7.0, n / 7.0, n * 1.0001, repeat('ä"\\,' || chr(10) || chr(9), n % 5), 'v' || n,
    'c' || n % 99, 'n' || n, 's' || n, json_build_object('a', n), jsonb_build_object('b', ARRAY[n, NULL]),
    decode(md5(n::text), 'hex'), date '1900-01-01' + 97 * n, time '00:00' + n * interval '107.000001 s',
    timestamp '0001-01-01' + n * interval '13 months 1.000001 s',
    timestamptz '1580-02-28 23:59:59.5Z' + n * interval '1 year', 'ok', ARRAY['a', NULL, '', 'NULL', '"{}\\'],
    ARRAY[n, NULL, -n], ARRAY['sad', 'ok']::mood[], ARRAY[date '2026-01-01' + n], ARRAY[n * 1.5, NULL, 0]
    FROM generate_series(1, 800) n;
INSERT INTO plain (k) SELECT md5('null' || n)::uuid FROM generate_series(1, 9) n;
INSERT INTO plain (k, f4, f8, n, hour, texts, numbers, t)
    VALUES (md5('odd')::uuid, 'NaN', '-Infinity', 1e20, '24:00', '{}', '{}', ''),
    (md5('odd2')::uuid, '-0', '1e-300', -0.00001000, '23:59:59.999999', NULL, '{0}', ' ');
"""
ROWS_CHANGE = (
    "UPDATE people SET mood = NULL, tags = NULL, amount = NULL WHERE id % 5 = 0",
    "UPDATE people SET id = id + 100000, wedding_id = 3 WHERE id BETWEEN 600 AND 620",
    "UPDATE people SET wedding_id = wedding_id + 1 WHERE id % 10 = 1",
    "UPDATE people SET mood = 'sad' WHERE id % 50 = 0",
    "DELETE FROM people WHERE id BETWEEN 100 AND 150",
    "UPDATE steps SET n = n + 1 WHERE what = 'm1'",
    "DELETE FROM steps WHERE what = 'm2' AND n < 50",
    "DELETE FROM steps WHERE ctid IN (SELECT max(ctid) FROM steps GROUP BY at, what, n HAVING count(*) > 1 "
    "LIMIT 9)",
    "INSERT INTO steps VALUES (NULL, 'infinity', '', 'NaN'), (NULL, NULL, NULL, '-0'), (NULL, NULL, NULL, "
    "'-0')",
    "UPDATE stays SET at = at + 200 WHERE id < 20",
    "BEGIN; TRUNCATE scratch; INSERT INTO scratch VALUES (1, 'again'); COMMIT",
    "BEGIN; INSERT INTO scratch VALUES (5, ''); SAVEPOINT s; DELETE FROM scratch; ROLLBACK TO s; COMMIT",
    "BEGIN; DELETE FROM people; ROLLBACK",
    "BEGIN; INSERT INTO scratch VALUES (6, 'gone'); TRUNCATE scratch, nothing; COMMIT",
    "INSERT INTO scratch VALUES (7, NULL)",
    "INSERT INTO people (name, since, at, born) VALUES ('far', '12026-01-01', 'infinity', '0044-03-15 BC')",
    "UPDATE plain SET n = -n, t = NULL, zoned = now(), numbers = numbers || 1 WHERE i2 % 3 = 0",
    "DELETE FROM plain WHERE i2 % 5 = 0",
    "SELECT nextval('invoices'), nextval('invoices')",
    "SELECT setval('pass', 70), setval('gate', 500), setval('ticket', 900)",
)
ADDITIVE = (
    "ALTER SEQUENCE pass RENAME TO badge; ALTER SEQUENCE gate RESTART WITH 7",
    "DROP SEQUENCE ticket; CREATE SEQUENCE ticket MAXVALUE 50 START 20",
    "ALTER TABLE pets ADD COLUMN nick text DEFAULT 'Rex', ADD COLUMN n int",
    "UPDATE pets SET nick = NULL WHERE id % 9 = 0",
    "CREATE TABLE later (id serial PRIMARY KEY, pet int REFERENCES pets ON DELETE CASCADE, x text)",
    "INSERT INTO later (pet, x) VALUES (1, 'first'), (2, 'second')",
    "ALTER TABLE steps ADD COLUMN extra numeric DEFAULT 1.50, ADD COLUMN noted timestamptz DEFAULT now()",
    "DELETE FROM steps WHERE what = 'm0' AND n < 40",
    "ALTER TYPE mood ADD VALUE 'great'",
    "INSERT INTO people (name, mood) VALUES ('new', 'great')",
    "CREATE INDEX later_x ON later (x); COMMENT ON TABLE later IS 'made; later'",
    "ALTER TABLE people ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID",
)


@dataclass
class Story:
    """A captured history, its segments in a directory, and the source as it was at some points of it."""

    capture: Capture
    store: Path
    points: dict[str, tuple[str, Digests]] = field(default_factory=dict)
    markers: dict[int, tuple[int, datetime, datetime]] = field(default_factory=dict)

    def hold(self, name: str) -> None:
        with hold(self.capture.dsn) as point:
            self.points[name] = (point.lsn, capture_within(point.connection))

    def mark(self, number: int) -> None:
        """A transaction of its own, and two moments of the server's clock around its commit."""
        with psycopg.connect(self.capture.dsn, autocommit=True) as connection:
            before = connection.execute("SELECT clock_timestamp()").fetchone()
            row = connection.execute(
                "INSERT INTO markers (id) VALUES (%s) RETURNING pg_current_xact_id()::text::bigint", (number,)
            ).fetchone()
            after = connection.execute("SELECT clock_timestamp()").fetchone()
        assert before is not None and row is not None and after is not None
        self.markers[number] = (row[0], before[0], after[0])

    def run(self, statements: tuple[str, ...]) -> None:
        with psycopg.connect(self.capture.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def settings(self, store: Path | None = None) -> config.Config:
        path = self.capture.write_config(
            f"restore-{uuid4().hex[:6]}",
            destinations={"store": {"type": "file", "path": str(store or self.store)}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
            control={"public_keys": [public_pem(KEY)]},
        )
        return config.load(path)

    def sink(self) -> None:
        self.capture.settle()
        self.settings()
        path = max(self.capture.directory.glob("restore-*.yaml"), key=lambda each: each.stat().st_mtime)
        self.capture.replicator(path, "sink", "store", "--once", "--accept-unproven-values")

    def restore(self, to: cut.Target, dsn: str, *, store: Path | None = None, clean: bool = False) -> Report:
        return service.run(self.settings(store), "store", to, dsn, force_clean=clean)

    def plan(self, to: cut.Target, store: Path | None = None) -> Plan:
        return service.plan(self.settings(store), "store", to)

    def segments(self, table: str) -> list[Path]:
        return sorted(self.store.glob(f"v1/changes/{self.capture.name}.{table}/*/*/*.avro"))


@pytest.fixture(scope="module")
def story(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Concurrent writers with points held in the middle, then every kind of change, then additive DDL."""
    folder = tmp_path_factory.mktemp("restore")
    store = folder / "store"
    store.mkdir()
    with captured(stack, folder / "capture", more=TABLES) as made:
        told = Story(made, store)
        with Traffic(made.dsn, seed=7, rows=12, workers=4):
            for name in ("traffic 1", "traffic 2", "traffic 3"):
                told.hold(name)
        told.run(ROWS_CHANGE)
        for number in (1001, 1002, 1003):
            told.mark(number)
        told.hold("rows changed")
        told.run(ADDITIVE)
        told.hold("schema grown")
        told.run(("DELETE FROM people WHERE id % 3 = 0", "TRUNCATE steps"))
        told.sink()
        yield told


@pytest.fixture
def target(stack: Endpoints) -> Iterator[str]:
    """An empty database."""
    name = f"r{uuid4().hex[:10]}"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield stack.postgres.dsn_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def copied(story: Story, tmp_path: Path) -> Path:
    """The segments again, to be damaged."""
    shutil.copytree(story.store, tmp_path / "store")
    return tmp_path / "store"


def lsn(text: str) -> cut.Target:
    return cut.parse(None, text, None, False)


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


@pytest.mark.parametrize("name", ["traffic 1", "traffic 2", "traffic 3", "rows changed", "schema grown"])
def test_a_restore_equals_the_source_at_that_very_point(story: Story, target: str, name: str) -> None:
    at, source = story.points[name]
    report = story.restore(lsn(at), target)
    found = compare(source, capture(target))
    assert found.equal, "\n".join(found.lines())
    assert sum(table.rows for table in report.tables) == sum(
        digest.rows
        for table, digest in source.tables.items()
        if table in {each.table for each in report.tables}
    ) + _rows_in_partitions(source)
    assert ask(target, "SELECT state FROM replicator_restore.state") == "complete"


def _rows_in_partitions(source: Digests) -> int:
    return sum(source.tables[f"public.{name}"].rows for name in ("stays_old", "stays_new"))


def test_the_latest_moment_is_the_source_at_rest(story: Story, target: str) -> None:
    story.restore(cut.Latest(), target)
    found = compare(capture(story.capture.dsn, schemas=["public"]), capture(target, schemas=["public"]))
    assert found.equal, "\n".join(found.lines())
    # 114: nextval was called twice, from 100 on by 7.
    assert ask(target, "SELECT nextval('invoices')") == 114
    assert ask(target, "SELECT nextval('badge')") == 71
    assert ask(target, "SELECT nextval('gate')") == 7
    assert ask(target, "SELECT nextval('ticket')") == 20
    assert ask(target, "SELECT nextval('coin') BETWEEN 6 AND 9"), "1e30 and NaN aren't what it gave"


@pytest.mark.parametrize("number", [1001, 1002])
def test_a_transaction_is_included_by_its_id_and_by_its_time(story: Story, target: str, number: int) -> None:
    xid, before, after = story.markers[number]
    by_id = story.plan(cut.parse(None, None, xid, False)).cut
    assert by_id.xid == xid
    assert story.plan(cut.parse(after.isoformat(), None, None, False)).cut.number == by_id.number
    assert story.plan(cut.parse(before.isoformat(), None, None, False)).cut.number < by_id.number
    story.restore(cut.parse(None, None, xid, False), target)
    assert ask(target, "SELECT max(id) FROM markers") == number


def test_inside_a_millisecond_the_events_own_time_decides(story: Story) -> None:
    """The commit's own microsecond includes it, the one before doesn't; END alone couldn't tell."""
    xid, before, after = story.markers[1003]
    number = story.plan(cut.parse(None, None, xid, False)).cut.number
    low, high = (int(each.timestamp() * 1_000_000) for each in (before, after))
    while high - low > 1:
        middle = (low + high) // 2
        if story.plan(cut.ToTime(middle)).cut.number >= number:
            high = middle
        else:
            low = middle
    assert high % 1000, "by chance the commit fell on a whole millisecond; run it again"
    assert story.plan(cut.ToTime(high)).cut.number == number
    assert story.plan(cut.ToTime(high - 1)).cut.number == number - 1


def test_a_plan_reads_no_segment_of_a_table_whole(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[str] = []
    plain = FileStore.get

    def watched(self: FileStore, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        if end is None:
            whole.append(key)
        return plain(self, key, start=start, end=end)

    monkeypatch.setattr(FileStore, "get", watched)
    plan = story.plan(lsn(story.points["traffic 2"][0]))
    assert {table.collection for table in plan.tables} >= {"public.people", "public.guests", "public.stays"}
    assert not [key for key in whole if ".public." in key]
    later = story.plan(lsn(story.points["schema grown"][0]))
    assert sum(len(table.pieces) for table in plan.tables) < sum(len(table.pieces) for table in later.tables)
    assert json.dumps(plan.as_json())


def test_a_moment_before_the_snapshot_is_refused_with_the_first_possible_one(story: Story) -> None:
    with pytest.raises(RefusedError) as caught:
        story.plan(lsn("0/1"))
    assert "initial snapshot" in caught.value.message
    first = str(caught.value.next_step).split("--to-lsn ")[1].split(" ")[0]
    assert story.plan(lsn(first)).cut.number == 0


def test_the_snapshot_alone_can_be_restored(story: Story, target: str) -> None:
    with pytest.raises(RefusedError) as caught:
        story.plan(lsn("0/1"))
    first = str(caught.value.next_step).split("--to-lsn ")[1].split(" ")[0]
    report = story.restore(lsn(first), target)
    assert report.transactions == 0
    assert ask(target, "SELECT count(*) FROM people") == 900


def test_a_moment_that_no_later_commit_proves_is_refused(story: Story) -> None:
    with pytest.raises(NotYetError, match="isn't proven to be reached"):
        story.plan(lsn("FFFF/0"))
    with pytest.raises(RefusedError, match="not in the transaction topic"):
        story.plan(cut.ToXid(2**31))


def test_a_target_that_is_not_empty_is_refused_and_left_alone(story: Story, target: str) -> None:
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)")
    with pytest.raises(TargetRefusedError, match="relation mine"):
        story.restore(cut.Latest(), target)
    assert ask(target, "SELECT count(*) FROM mine") == 1
    story.restore(lsn(story.points["traffic 1"][0]), target, clean=True)
    assert ask(target, "SELECT to_regclass('mine')") is None
    with pytest.raises(TargetRefusedError, match="complete restore"):
        story.restore(cut.Latest(), target)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip, cut_short])
def test_a_damaged_segment_is_named_and_the_target_marked(
    story: Story, copied: Path, target: str, damage: Callable[[Path], None]
) -> None:
    moment = lsn(story.points["traffic 2"][0])
    # A plan looks into the segment in which the moment lies: it refuses before the target is touched.
    written = [*story.segments("public.guests"), *story.segments("public.people")]
    beginnings = [path for path in written if path.name.startswith("0" * 20)]
    for original in beginnings:
        victim = copied / original.relative_to(story.store)
        damage(victim)
        with suppress(IntegrityError):
            story.plan(moment, store=copied)
            break
        shutil.copy(original, victim)
    else:
        pytest.fail(f"the plan looks into all of {beginnings}")
    with pytest.raises(IntegrityError) as caught:
        story.restore(moment, target, store=copied)
    assert victim.name in caught.value.message
    with pytest.raises(TargetRefusedError, match="FAILED"):
        story.restore(lsn(story.points["traffic 2"][0]), target)
    story.restore(lsn(story.points["traffic 2"][0]), target, clean=True)


def test_a_hole_is_named_by_its_offsets(story: Story, copied: Path, target: str) -> None:
    chains: dict[Path, list[Path]] = {}
    for path in story.segments("public.guests"):
        chains.setdefault(path.parent, []).append(path)
    victim = next(paths[1] for paths in chains.values() if len(paths) > 3)
    (copied / victim.relative_to(story.store)).unlink()
    first, last = (int(part) for part in victim.name.split(".")[0].split("-"))
    with pytest.raises(HoleError) as caught:
        story.restore(lsn(story.points["schema grown"][0]), target, store=copied)
    assert f"offsets {first} to {last - 1}" in caught.value.message
    assert ask(target, "SELECT to_regclass('replicator_restore.state')") is None, (
        "it was refused before a byte"
    )


def test_a_missing_end_of_a_chain_is_not_yet_there_and_latest_stops_before_it(
    story: Story, copied: Path, target: str
) -> None:
    for path in story.segments("public.people"):
        if all(record["value"]["op"] != "r" for record in read.records(path.read_bytes())):
            (copied / path.relative_to(story.store)).unlink()
    with pytest.raises(NotYetError) as caught:
        story.restore(lsn(story.points["schema grown"][0]), target, store=copied)
    assert "public.people" in caught.value.message
    whole = story.plan(cut.Latest()).cut.number
    assert story.plan(cut.Latest(), copied).cut.number < whole
    story.restore(cut.Latest(), target, store=copied, clean=True)


def test_a_table_whose_whole_chain_is_missing_is_refused_by_the_plan_as_by_the_restore(
    story: Story, copied: Path, target: str
) -> None:
    for topic in (copied / "v1/changes").glob("*.public.guests"):
        shutil.rmtree(topic)
    at = lsn(story.points["schema grown"][0])
    with pytest.raises(ProofError) as planned:
        story.plan(at, copied)
    with pytest.raises(ProofError) as restored:
        story.restore(at, target, store=copied)
    assert str(planned.value) == str(restored.value)
    assert "public.guests has 0 rows of the initial snapshot" in planned.value.message
    assert ask(target, "SELECT to_regclass('replicator_restore.state')") is None, (
        "it was refused before a byte"
    )


def signed(story: Story, store: Path, number: int | None = None) -> RestorePoint:
    """Put the point that control would have published after a commit, the last one by default."""
    commits = story.plan(cut.Latest()).history.commits
    last = commits[number or len(commits)]
    ends: dict[tuple[str, str, int], int] = {}
    for path in story.store.glob("v1/changes/*/*/*/*.avro"):
        name = SegmentName.parse(str(path.relative_to(story.store)))
        assert name is not None
        chain = (name.topic, name.topic_id, name.partition)
        ends[chain] = max(ends.get(chain, 0), name.next)
    mark = marks.find(FileStore(store))
    assert mark is not None
    point = RestorePoint(
        story.capture.name, mark.cluster_id, "store", last.end, last.xid, last.committed_ms, 0,
        last.committed_ms, 1, tuple(ChainEnd(*chain, end) for chain, end in sorted(ends.items())),
    )  # fmt: skip
    publish(FileStore(store), Signer(POINTS).sign(point))
    return point


def test_a_restore_says_which_point_covers_it_and_believes_no_forged_one(
    story: Story, copied: Path, target: str
) -> None:
    point = signed(story, copied)
    plan = story.plan(lsn(story.points["traffic 2"][0]), copied)
    said = plan.as_json()["restore_point"]
    assert (said["covers"], said["source"], said["lsn"]) == (True, "store", lsn_text(point.lsn))
    assert said["key_id"] == Signer(POINTS).sign(point).key_id
    stored_at = copied / point.key()
    stored_at.write_text(stored_at.read_text().replace(f'"lsn": {point.lsn}', f'"lsn": {point.lsn + 1}'))
    report = story.restore(cut.Latest(), target, store=copied)
    assert report.promises.newest is None
    assert "renamed or altered" in report.as_json()["point_warnings"][0]
    assert ask(target, "SELECT state FROM replicator_restore.state") == "complete"


def test_the_end_of_a_history_that_was_cut_off_is_noticed_by_its_restore_point(
    story: Story, copied: Path, target: str
) -> None:
    for path in story.segments("public.people"):
        if all(record["value"]["op"] != "r" for record in read.records(path.read_bytes())):
            (copied / path.relative_to(story.store)).unlink()
    shorter = story.plan(cut.Latest(), copied).cut
    signed(story, copied)
    with pytest.raises(PromiseBrokenError, match=r"public\.people") as caught:
        story.restore(cut.Latest(), target, store=copied)
    assert ask(target, "SELECT to_regclass('replicator_restore.state')") is None, "nothing was built"
    assert shorter.xid is not None
    assert f"--to-xid {shorter.xid}" in str(caught.value.next_step)
    report = story.restore(cut.ToXid(shorter.xid), target, store=copied)
    assert report.cut.number == shorter.number
    assert "has lost what" in report.promises.warnings[0]


def test_a_record_that_somebody_lost_is_named_by_transaction_and_table(
    story: Story, copied: Path, target: str
) -> None:
    """A segment that is sound in itself, with one record less: only counting can find it."""
    victim = story.segments("public.guests")[0]
    records = list(read.records(victim.read_bytes()))
    lost = records.pop(next(i for i, record in enumerate(records) if record["value"]["op"] != "r"))
    header = replace(read.open_header(victim.read_bytes()).header, count=len(records))
    assert header.value_schema is not None
    schema = fastavro.parse_schema(json.loads(record_schema(header.value_schema[1])))
    body = io.BytesIO()
    for record in records:
        fastavro.schemaless_writer(body, schema, record)
    sealed = container.build(header, [(len(records), container.compress(body.getvalue()))])
    (copied / victim.relative_to(story.store)).unlink()
    (copied / sealed.name.key()).write_bytes(sealed.body)
    with pytest.raises(ProofError) as caught:
        story.restore(lsn(story.points["schema grown"][0]), target, store=copied)
    assert f"transaction {lost['value']['source']['txId']}" in caught.value.message
    assert "public.guests" in caught.value.message
    assert ask(target, "SELECT state FROM replicator_restore.state") == "failed"


@pytest.mark.parametrize(
    ("number", "state", "refused"),
    [(signal.SIGKILL, "running", "unfinished restore"), (signal.SIGINT, "failed", "FAILED restore")],
)
def test_a_restore_that_is_ended_midway_leaves_a_target_that_says_so(
    story: Story, target: str, number: signal.Signals, state: str, refused: str
) -> None:
    at = story.points["schema grown"][0]
    story.settings()
    path = max(story.capture.directory.glob("restore-*.yaml"), key=lambda each: each.stat().st_mtime)
    command = [sys.executable, "-m", "replicator", "-c", str(path), "restore", "--to-lsn", at]
    process = subprocess.Popen(
        [*command, "--target", target],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 120
        while ask(target, "SELECT count(*) FROM pg_class WHERE relname = 'people'") != 1:
            assert process.poll() is None, "it ended before it could be stopped"
            assert time.monotonic() < end, "it made no table within two minutes"
    finally:
        process.send_signal(number)
        process.wait(60)
    assert ask(target, "SELECT state FROM replicator_restore.state") == state
    with pytest.raises(TargetRefusedError, match=refused):
        story.restore(lsn(at), target)
    with pytest.raises(TargetRefusedError, match=state):
        check_result(target)
    story.restore(lsn(at), target, clean=True)
    check_result(target)
    found = compare(story.points["schema grown"][1], capture(target))
    assert found.equal, "\n".join(found.lines())


def test_another_installations_destination_is_refused(story: Story) -> None:
    other = story.capture.write_config(
        "other", destinations={"store": {"type": "file", "path": str(story.store)}}
    )
    text = yaml.safe_load(other.read_text()) | {"installation": "somebody-else"}
    other.write_text(yaml.safe_dump(text))
    with pytest.raises(RefusedError, match="installation"):
        service.plan(config.load(other), "store", cut.Latest())
