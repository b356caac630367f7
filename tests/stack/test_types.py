"""Every type of PostgreSQL, and random tables, the whole way through the real stack: equal to the source."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from replicator import config
from replicator.compare import (
    Digests,
    Report,
    RowDifference,
    capture_within,
    compare,
    hold,
    row_differences,
    session,
)
from replicator.restore import service
from replicator.restore.moment import cut
from replicator.restore.report import Report as Restore
from replicator.source import canary
from replicator.source.canary import Verdict
from tests.faults.capture import Capture, captured
from tests.stack.typed_tables import (
    RandomTables,
    change_typed,
    fill_typed,
    known_values,
    make_typed,
)

SEED = int(os.environ.get("REPLICATOR_SEED", random.SystemRandom().randrange(2**32)))
TABLES = int(os.environ.get("REPLICATOR_RANDOM_TABLES", "8"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A restore as of one point, what differs from the source at that point, and what the canary said."""

    verdict: Verdict
    restore: Restore
    source: Digests
    found: Report
    rows: list[RowDifference]


@pytest.fixture(scope="module")
def outcome(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Rows of the snapshot and of the stream, changed and deleted, restored as of their end."""
    if not stack.converter.exact_values:
        pytest.skip("this stack's Debezium has no converter for exact values")
    folder = tmp_path_factory.mktemp("types")
    (folder / "store").mkdir()
    types, values = known_values(stack.postgres.dsn)
    tables = RandomTables(SEED, values, TABLES)
    before = [types, *make_typed(values), *fill_typed(values, 100), *tables.make(), *tables.rows(6)]
    options = {"exact_values": True, "partitions": 2}
    name = f"r{uuid4().hex[:10]}"
    with captured(stack, folder / "capture", more=";\n".join(before), source=options) as made:
        run(made, [*fill_typed(values, 200), *change_typed(values, 100), *change_typed(values, 200)])
        run(made, [*tables.rows(3), *tables.changes(30 * TABLES)])
        with hold(made.dsn) as point, psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
            source = capture_within(point.connection)
            settings = sunk(made, folder / "store")
            verdict = canary.run(settings)
            admin.execute(f"CREATE DATABASE {name}".encode())
            try:
                target = stack.postgres.dsn_of(name)
                restore = service.run(settings, "store", cut.parse(None, point.lsn, None, False), target)
                yield judged(verdict, restore, source, point.connection, target)
            finally:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def run(made: Capture, statements: list[str]) -> None:
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def sunk(made: Capture, store: Path) -> config.Config:
    """All that is captured so far is stored; returns the configuration of a restore."""
    made.settle(60)
    path = made.write_config(
        "sink",
        destinations={"store": {"type": "file", "path": str(store)}},
        sink={"max_age_s": 0.5, "metrics_port": 0},
    )
    made.replicator(path, "sink", "store", "--once", "--accept-unproven-values")
    return config.load(path)


def judged(
    verdict: Verdict, restore: Restore, source: Digests, connection: psycopg.Connection, target: str
) -> Outcome:
    with session.connect(target, "target") as restored:
        session.begin(restored, None)
        found = compare(source, capture_within(restored))
        rows = [
            row
            for table in found.different_tables
            for row in row_differences(connection, restored, source.tables[table.name].table)
        ]
    return Outcome(verdict, restore, source, found, rows)


def test_every_type_of_postgresql_is_restored_as_it_was(outcome: Outcome) -> None:
    assert not [str(row) for row in outcome.rows if row.table.startswith("public.types ")]
    assert sum(name.startswith("public.types ") for name in outcome.source.tables) > 8


def test_random_tables_with_random_changes_are_restored_as_they_were(outcome: Outcome) -> None:
    assert outcome.found.equal, "\n".join([f"seed {SEED}", *outcome.found.lines(), *map(str, outcome.rows)])


def test_nothing_is_left_unproven(outcome: Outcome) -> None:
    assert outcome.restore.unproven == []


def test_the_canary_finds_no_type_that_changes(outcome: Outcome) -> None:
    assert outcome.verdict.passed
    assert [kind for kind in outcome.verdict.types if kind.ordinary or kind.rare] == []
    # No value is known that tries a range type of the database's own, or an array of its domain.
    untried = {kind.declared for kind in outcome.verdict.types if kind.untried}
    assert untried <= {"public.floats", "public.short[]"}
