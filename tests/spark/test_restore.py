"""Whole restores by `--engine spark`, judged by the source at the same LSN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from deploy.local.endpoints import Endpoints
from replicator.compare import capture, compare
from replicator.restore import service
from replicator.restore.moment import cut
from replicator.restore.opening import Limits
from replicator.restore.spread.on_spark import SparkEngine
from tests.stack.test_row_changes import Told, told

__all__ = ["told"]  # a captured history of everything that changes rows


@contextmanager
def empty_database(stack: Endpoints) -> Iterator[str]:
    name = f"r{uuid4().hex[:10]}"
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield stack.postgres.dsn_of(name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_the_rows_are_those_of_the_source(
    stack: Endpoints, told: Told, spark: SparkEngine, tmp_path: Path
) -> None:
    lsn, source = told.points[[*told.points][-1]]
    with empty_database(stack) as dsn:
        report = service.run(
            told.settings,
            "store",
            cut.parse(None, lsn, None, False),
            dsn,
            limits=Limits(engine="spark", scratch=tmp_path),
        )
        found = compare(source, capture(dsn))
    assert found.equal, "\n".join(found.lines())
    assert report.transactions > 0
    assert not any(tmp_path.iterdir()), "nothing is left of what the workers shared"
