"""The oracle itself: is its point exact under concurrent commits, and does a digest see every change?"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from deploy.local.endpoints import Endpoints
from replicator.cli.main import app
from replicator.compare import capture, capture_within, compare, hold, row_differences, session
from replicator.compare.point import parse_lsn
from replicator.errors import ConfigError, SourceError
from replicator.restore.moment.history import Value
from replicator.restore.target import sequences
from tests.source_database import SourceDatabase

ROWS = """
CREATE TABLE entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 DEFAULT
pg_current_xact_id(), n int); CREATE TABLE emptied (id bigint GENERATED ALWAYS AS IDENTITY, n int); CREATE
PUBLICATION everything FOR TABLE entries;
"""
WRITERS = 8


@contextmanager
def _writers(dsn: str) -> Iterator[None]:
    """Eight sessions that commit, roll back, and use savepoints, as fast as they can."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        rng = Random(number)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                while not stop.is_set():
                    connection.execute("BEGIN")
                    for n in range(rng.randrange(1, 4)):
                        connection.execute("INSERT INTO entries (n) VALUES (%s)", (n,))
                    connection.execute("SAVEPOINT s")
                    connection.execute("DELETE FROM entries WHERE id % 97 = 0")
                    connection.execute("ROLLBACK TO s")
                    connection.execute(rng.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")))
        except BaseException as error:  # noqa: BLE001 - a writer that died must fail the test
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures


def _commits(dsn: str, slot: str) -> dict[int, int]:
    """xid → the LSN at which its commit record ends, as pgoutput's 'C' messages report it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT xid::text::bigint, data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL, "
            "'proto_version', '1', 'publication_names', 'everything')",
            (slot,),
        ).fetchall()
    return {xid: struct.unpack_from(">Q", data, 10)[0] for xid, data in found if data[:1] == b"C"}


def test_the_snapshot_holds_exactly_the_transactions_that_end_before_the_point(
    database: SourceDatabase,
) -> None:
    slot = f"{database.name}_witness"
    seen: list[tuple[int, set[int]]] = []
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(ROWS)
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    with _writers(database.dsn):
        for _ in range(6):
            before = seen[-1][1] if seen else set()
            with hold(database.dsn) as point:
                found = point.connection.execute("SELECT DISTINCT xid::text FROM public.entries")
                visible = {int(row[0]) for row in found}
            assert visible > before
            seen.append((point.lsn_number, visible))
    commits = _commits(database.dsn, slot)
    assert len(commits) > 100
    for lsn, visible in seen:
        assert visible == {xid for xid, end in commits.items() if end < lsn}


def test_a_held_point_stays_as_it_is_while_writers_go_on(database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(ROWS)
        with _writers(database.dsn), hold(database.dsn) as point:
            first = capture(database.dsn, point.snapshot)
            count = first.tables["public.entries"].rows
            deadline = time.monotonic() + 30
            while True:
                now = connection.execute("SELECT count(*) FROM entries").fetchone()
                if now is not None and now[0] > count + 50:
                    break
                assert time.monotonic() < deadline, f"the writers came to {now} rows after {count}"
            assert compare(first, capture(database.dsn, point.snapshot)).equal
            assert not compare(first, capture(database.dsn)).equal


def test_a_truncation_waits_for_the_point_instead_of_emptying_it(database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(ROWS)
        connection.execute("INSERT INTO emptied (n) SELECT generate_series(1, 100)")
        with hold(database.dsn) as point:
            connection.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("TRUNCATE emptied")
            assert capture_within(point.connection).tables["public.emptied"].rows == 100
        connection.execute("TRUNCATE emptied")
        assert capture(database.dsn).tables["public.emptied"].rows == 0


def test_points_are_exact_while_tables_are_truncated_again_and_again(database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(ROWS)
    stop = threading.Event()

    def refill() -> None:
        with psycopg.connect(database.dsn, autocommit=True) as own:
            while not stop.is_set():
                with own.transaction():
                    own.execute("TRUNCATE emptied")
                    own.execute("INSERT INTO emptied (n) SELECT generate_series(1, 10)")
                stop.wait(0.02)

    thread = threading.Thread(target=refill)
    thread.start()
    try:
        for _ in range(10):
            with hold(database.dsn) as point:
                # Never between the two statements, and never the emptiness of a later truncation.
                assert capture_within(point.connection).tables["public.emptied"].rows in (0, 10)
                found = point.connection.execute("SELECT count(DISTINCT n) FROM public.emptied").fetchone()
                assert found is not None and found[0] in (0, 10)
    finally:
        stop.set()
        thread.join()


def test_a_transaction_that_stays_open_is_named_at_the_deadline(database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, application_name="forgotten") as blocker:
        blocker.execute("CREATE TABLE held_up (id int)")
        with pytest.raises(SourceError, match="forgotten"), hold(database.dsn, deadline_s=1.0):
            pytest.fail("no point can be consistent while an older transaction is open")


CHANGES = {
    "a value": "UPDATE guests SET notes = 'another' WHERE id = (SELECT min(id::text)::uuid FROM guests)",
    "an empty text instead of NULL": "UPDATE weddings SET notes = '' WHERE notes IS NULL",
    "a NULL instead of the default": "UPDATE weddings SET portal_open = NULL WHERE id = 1",
    "a trailing zero": "UPDATE readings SET humidity = '55.50' WHERE id = 1",
    "the sign of a zero": "UPDATE readings SET decibel = 0.0 WHERE id = 1",
    "a microsecond": "UPDATE photos SET created_at = created_at + interval '1 microsecond'",
    "a byte of a large text": "UPDATE documents SET body = body || '.' WHERE length(body) > 8000",
    "one of two rows that are the same": "DELETE FROM activity WHERE ctid = "
    "(SELECT max(ctid) FROM activity WHERE action = 'row taken over')",
    "a row in another partition": "UPDATE payments SET paid_on = '2027-05-05' "
    "WHERE id = (SELECT id FROM payments WHERE paid_on < '2027-01-01' LIMIT 1)",
    "an index": "DROP INDEX guests_email",
    "a constraint": "ALTER TABLE rsvps DROP CONSTRAINT rsvps_check",
    "a default": "ALTER TABLE weddings ALTER notes SET DEFAULT 'other'",
    "a trigger": "DROP TRIGGER payments_booked ON payments",
    "a label of an enum": "ALTER TYPE answer ADD VALUE 'perhaps'",
    "a view": "CREATE OR REPLACE VIEW guest_list AS SELECT g.wedding_id, ''::text AS household, "
    'g."displayName", '
    "''::text AS event_code, NULL::answer AS answer FROM guests g",
    "a sequence that would collide": "SELECT setval('bookings_id_seq', 1)",
    "an empty table": "DROP TABLE imports",
}


@pytest.fixture(scope="module")
def original(stack: Endpoints) -> Iterator[str]:
    """A small wedding database, at rest."""
    name = "compare_original"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        dsn = stack.postgres.dsn_of(name)
        subprocess.run([sys.executable, "-m", "demo.load", "--dsn", dsn, "--rows", "3000"], check=True)
        with psycopg.connect(dsn) as own:
            own.execute("UPDATE readings SET decibel = '-0', humidity = '55.5' WHERE id = 1")
        yield name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_change_is_seen(stack: Endpoints, original: str, change: str) -> None:
    copy = f"{original}_copy"
    source, target = stack.postgres.dsn_of(original), stack.postgres.dsn_of(copy)
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(copy)))
        template = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        server.execute(template.format(sql.Identifier(copy), sql.Identifier(original)))
        try:
            before = capture(source)
            assert compare(before, capture(target)).lines() == []
            with psycopg.connect(target, autocommit=True) as connection:
                connection.execute(CHANGES[change])
            report = compare(before, capture(target))
            assert not report.equal, change
            assert len(report.lines()) > 0
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))


SEQUENCES = """
CREATE DOMAIN whole AS int;
CREATE TABLE things (
    w whole DEFAULT 4, n numeric DEFAULT 'NaN', t text DEFAULT '9', down bigint DEFAULT -6, "100%s" serial);
INSERT INTO things DEFAULT VALUES;
INSERT INTO things (n, down) VALUES (7, 3), (1e30, -5);
CREATE SEQUENCE of_w OWNED BY things.w;
CREATE SEQUENCE of_n MAXVALUE 50 OWNED BY things.n;
CREATE SEQUENCE of_t OWNED BY things.t;
CREATE SEQUENCE of_down INCREMENT -1 MINVALUE -9223372036854775808 OWNED BY things.down;
CREATE SEQUENCE of_nothing;
CREATE UNLOGGED SEQUENCE of_no_log;
"""


def test_a_sequence_is_as_far_as_its_column_if_that_can_hold_its_values(database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(SEQUENCES)
        found = capture(database.dsn, schemas=["public"]).sequences
        assert {name.removeprefix("public."): each.extreme for name, each in found.items()} == {
            "of_w": 4,
            "of_n": 7,
            "of_t": None,
            "of_down": -6,
            "of_nothing": None,
            "things_100%s_seq": 3,
        }
        set_to = sequences.restore(
            connection, {"public.of_w": Value(9, False), "public.of_n": Value(51, True)}
        )
        assert set_to == {
            "public.of_w": Value(9, False),
            "public.of_n": Value(7, True),
            "public.of_down": Value(-6, True),
            'public."things_100%s_seq"': Value(3, True),
        }
        assert not any(each.would_collide for each in capture(database.dsn).sequences.values())


def test_differing_rows_are_named_with_key_and_column(stack: Endpoints, database: SourceDatabase) -> None:
    other = f"{database.name}_other"
    setup = 'CREATE TABLE t (a int, b text, "c%s" numeric, PRIMARY KEY (a, b)); CREATE TABLE u (x text);'
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(other)))
        try:
            target = stack.postgres.dsn_of(other)
            with psycopg.connect(database.dsn, autocommit=True) as connection:
                connection.execute(setup + "INSERT INTO t VALUES (1, 'ü', 1.0), (2, 'b', 2), (10, 'z', 3);")
                connection.execute("INSERT INTO u VALUES ('same'), ('same'), ('same')")
            with psycopg.connect(target, autocommit=True) as connection:
                connection.execute(
                    setup + "INSERT INTO t VALUES (1, 'ü', 1.00), (10, 'z', 3), (3, 'x', NULL);"
                )
                connection.execute("INSERT INTO u VALUES ('same')")
            with session.connect(database.dsn, "source") as ours, session.connect(target, "target") as theirs:
                session.begin(ours, None)
                session.begin(theirs, None)
                tables = capture(database.dsn).tables
                in_t = row_differences(ours, theirs, tables["public.t"].table)
                in_u = row_differences(ours, theirs, tables["public.u"].table)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(other)))
    assert {(found.kind, found.key) for found in in_t} == {
        ("changed", "(1,ü)"),
        ("missing", "(2,b)"),
        ("unexpected", "(3,x)"),
    }
    assert next(found for found in in_t if found.kind == "changed").columns == {"c%s": ("1.0", "1.00")}
    assert [(found.kind, found.copies) for found in in_u] == [("missing", 2)]


def test_an_lsn_orders_as_postgresql_orders_it(database: SourceDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection, hold(database.dsn) as point:
        row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    assert row is not None
    assert parse_lsn(row[0]) >= point.lsn_number


def test_a_recorded_point_is_compared_later_and_a_change_has_its_exit_status(
    stack: Endpoints, database: SourceDatabase, tmp_path: Path
) -> None:
    settings = {
        "installation": database.installation,
        "kafka": {"bootstrap_servers": stack.kafka.bootstrap_servers},
        "registry": {"url": stack.registry.url},
        "source": {"dsn": database.dsn},
    }
    (tmp_path / "replicator.yaml").write_text(json.dumps(settings))
    call = ["--config", str(tmp_path / "replicator.yaml"), "compare"]
    held = str(tmp_path / "point.json")
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(ROWS + "INSERT INTO entries (n) VALUES (1);")
        saved = CliRunner().invoke(app, [*call, "--save", held])
        assert saved.exit_code == 0, saved.output
        lsn = saved.stdout.split()[0]
        equal = CliRunner().invoke(app, [*call, "--held", held, "--target", database.dsn, "--at-lsn", lsn])
        assert (equal.exit_code, equal.stdout) == (0, f"equal: 2 tables, 1 rows as of {lsn}\n")
        connection.execute("UPDATE entries SET n = 2")
        other = CliRunner().invoke(app, [*call, "--held", held, "--target", database.dsn, "--json"])
        assert other.exit_code == 5
        assert json.loads(other.stdout)["equal"] is False
        # Now is compared with itself: both sides are the source.
        now = CliRunner().invoke(app, [*call, "--target", database.dsn])
        assert now.exit_code == 0, now.output
    wrong = CliRunner().invoke(app, [*call, "--held", held, "--target", database.dsn, "--at-lsn", "0/1"])
    assert isinstance(wrong.exception, ConfigError)
    assert "different moments aren't compared" in str(wrong.exception)
