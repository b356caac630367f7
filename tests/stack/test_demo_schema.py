"""The demo's database: what makes it a hard case is really in it, and its traffic does what it says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from demo import history, invariants
from demo.mix import QUIET, WEDDING_DAY
from deploy.local.endpoints import Endpoints
from replicator.compare import capture, compare
from tests.source_database import SourceDatabase

ROWS = 4000


@pytest.fixture(scope="module")
def loaded(stack: Endpoints) -> Iterator[str]:
    """A database with the demo's history; its DSN."""
    name = "demo_schema_history"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        history.build(stack.postgres.dsn_of(name), ROWS, seed=5)
        yield stack.postgres.dsn_of(name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


_OURS = "relnamespace = 'public'::regnamespace"
HARD_CASES = {
    "tables": (f"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND {_OURS}", 20),
    "enums": ("SELECT count(*) FROM pg_type WHERE typtype = 'e'", 5),
    "generated columns": ("SELECT count(*) FROM pg_attribute WHERE attgenerated = 's'", 4),
    "partitions": ("SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE "
    "c.relkind = 'p' "
                   "AND c.relname = 'payments'", 4),
    "identity columns": ("SELECT count(*) FROM pg_attribute WHERE attidentity <> ''", 5),
    "foreign keys": ("SELECT count(*) FROM pg_constraint WHERE contype = 'f'", 15),
    "deferrable constraints": ("SELECT count(*) FROM pg_constraint WHERE condeferrable AND contype = 'u'", 1),
    "partial indexes": ("SELECT count(*) FROM pg_index WHERE indpred IS NOT NULL", 3),
    "expression indexes": ("SELECT count(*) FROM pg_index WHERE indexprs IS NOT NULL", 1),
    "tables without a key": (
        "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
        "AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)", 1),
    "tables with wedding_id": (
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE attname = 'wedding_id' AND relkind = 'r'", 15),
    "texts out of line": (
        "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'documents'", 8192),
    "bytes out of line": (
        "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'photos'", 8192),
    "identical rows without a key": (
        "SELECT max(n) FROM (SELECT count(*) AS n FROM activity a GROUP BY a::text) x", 2),
    "used partitions": ("SELECT count(DISTINCT tableoid) FROM payments", 3),
    "numbers that aren't": (
        "SELECT count(*) FROM readings WHERE decibel IN ('NaN', 'Infinity', '-Infinity')", 1),
}  # fmt: skip


@pytest.mark.parametrize("case", HARD_CASES)
def test_the_history_holds_the_hard_case(loaded: str, case: str) -> None:
    query, at_least = HARD_CASES[case]
    found = _one(loaded, query)
    assert isinstance(found, int)
    assert found >= at_least


def test_defaulted_columns_hold_nulls_in_every_table_that_has_them(loaded: str) -> None:
    with psycopg.connect(loaded) as connection:
        columns = connection.execute(
            "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition "
            "AND NOT a.attnotnull AND a.attgenerated = '' AND c.relname <> 'imports' ORDER BY 1, 2"
        ).fetchall()
        assert len(columns) > 30
        without = [
            f"{table}.{column}"
            for table, column in columns
            if connection.execute(
                sql.SQL("SELECT count(*) FROM {} WHERE {} IS NULL").format(
                    sql.Identifier(table), sql.Identifier(column)
                )
            ).fetchone()
            == (0,)
        ]
    assert without == []


def test_a_seed_is_a_history_down_to_the_last_byte(loaded: str, database: SourceDatabase) -> None:
    history.build(database.dsn, ROWS, seed=5)
    assert compare(capture(loaded), capture(database.dsn)).lines() == []


def test_another_seed_is_another_history(loaded: str, database: SourceDatabase) -> None:
    history.build(database.dsn, ROWS, seed=6)
    assert not compare(capture(loaded), capture(database.dsn)).equal


def test_the_money_adds_up_and_a_missing_payment_is_noticed(loaded: str) -> None:
    with psycopg.connect(loaded) as connection:
        assert invariants.violations(connection) == []
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM payments WHERE id = (SELECT min(id) FROM payments WHERE amount > 0)")
        assert len(invariants.violations(connection)) == 1
        connection.rollback()


def test_traffic_ends_cleanly_at_sigterm_having_done_every_kind_of_transaction(
    database: SourceDatabase,
) -> None:
    history.build(database.dsn, ROWS, seed=7)
    before = capture(database.dsn)
    program = subprocess.Popen(
        [
            sys.executable, "-m", "demo.traffic", "--dsn", database.dsn, "--rate", "400", "--workers", "3",
            "--seed", "9", "--wedding-day", "--ddl-after", "1",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert program.stdout is not None
    lines = []
    for line in program.stdout:
        lines.append(line)
        if "so far" in line and int(line.split()[-3]) >= 1500:
            program.send_signal(signal.SIGTERM)
    assert program.wait(30) == 0, lines[-3:]
    report = json.loads(lines[-1])
    assert report["money_adds_up"]
    kinds = {kind.__name__ for kind in {**QUIET, **WEDDING_DAY}} - {"abandoned"}
    assert kinds | {"additive_ddl"} <= report["by_kind"].keys()
    assert report["rolled_back_by_kind"]["abandoned"] > 0
    after = compare(before, capture(database.dsn))
    unchanged = {table.name for table in after.tables if table.equal}
    assert unchanged <= {
        "public.vendors",
        "public.favourite_vendors",
        "public.seating_tables",
        "public.payments_other",
    }
