"""The source at a consistent point, reduced to what a comparison needs once the point is let go."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from replicator.compare import Digests, capture_within, hold
from replicator.compare import fingerprint as fingerprints
from replicator.compare.record import Record


@dataclass(frozen=True, slots=True)
class Held:
    """The source as of `lsn`; `fingerprints` has a file for each table that has one.

    `time` is by the source's clock, `reached_at` the same moment by this machine's monotonic one.
    """

    lsn: str
    time: datetime
    digests: Digests
    fingerprints: dict[str, Path]
    reached_at: float

    @classmethod
    def recorded(cls, record: Record) -> Held:
        """What `compare --save` recorded, which has no fingerprints: differing rows aren't named."""
        return cls(record.lsn, record.time, record.digests, {}, 0.0)


def take(dsn: str, schemas: list[str], folder: Path | None, deadline_s: float) -> Held:
    """Hold a consistent point, read the source there, and let it go before anything is restored.

    With a folder each row's key and digest are written there, which is a second scan of the tables.
    `SourceError` as `compare.hold` raises it.
    """
    with hold(dsn, deadline_s=deadline_s) as point:
        reached_at = time.monotonic()
        digests = capture_within(point.connection, schemas=schemas)
        files = {} if folder is None else _fingerprints(point.connection, digests, folder)
    return Held(point.lsn, point.time, digests, files, reached_at)


def name_rows(
    held: Held, target: psycopg.Connection, different: list[str], folder: Path, limit: int
) -> list[str]:
    """The rows by which the tables differ, each by table and key; at most `limit` of each table."""
    found: list[str] = []
    for number, name in enumerate(different):
        source, table = held.fingerprints.get(name), held.digests.tables.get(name)
        if source is None or table is None:
            continue
        path = folder / f"target-{number}"
        try:
            fingerprints.write(target, table.table, path)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            continue  # that it differs in its definition is told already
        rows = fingerprints.differences(table.table, source, path, limit)
        path.unlink()
        found += map(str, rows)
    return found


def _fingerprints(connection: psycopg.Connection, digests: Digests, folder: Path) -> dict[str, Path]:
    files = {}
    for number, (name, found) in enumerate(digests.tables.items()):
        files[name] = folder / f"source-{number}"
        fingerprints.write(connection, found.table, files[name])
    return files
