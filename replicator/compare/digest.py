"""A database reduced to one digest a table, computed by the server and independent of the order of rows.

A row's digest is the md5 of `ROW(all columns)::text`; its two halves, as signed 64-bit numbers, are summed
over the table, and the rows are counted. Sums make it a digest of a multiset: a table without a key may hold
a row twice, and must then hold it twice on both sides. Guards against accidents, not against someone who
looks for collisions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from replicator.compare import catalog, session
from replicator.compare.sequences import furthest, list_sequences
from replicator.errors import SourceError


@dataclass(frozen=True, slots=True)
class Table:
    """A table (or a partition) with its columns in order and its primary key, empty where it has none."""

    schema: str
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    logged: bool = True
    size: int = 0

    @property
    def full_name(self) -> str:
        """Schema and name, as people write it."""
        return f"{self.schema}.{self.name}"

    def row_text(self) -> sql.Composable:
        """The SQL of a whole row as text; tells NULL from '' and one column from the next."""
        return sql.SQL("ROW({})::text").format(sql.SQL(", ").join(map(sql.Identifier, self.columns)))

    def key_text(self) -> sql.Composable:
        """The SQL of the row's key as text, ordered by its bytes so that two servers agree."""
        return sql.SQL('ROW({})::text COLLATE "C"').format(sql.SQL(", ").join(map(sql.Identifier, self.key)))

    def source(self) -> sql.Composable:
        """The SQL to read exactly this table's own rows."""
        return sql.SQL("ONLY {}").format(sql.Identifier(self.schema, self.name))


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows, and the sums of the halves of their digests."""

    table: Table
    rows: int
    digest: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SequencePosition:
    """Where a sequence stands; `owner` is the column that draws from it and `extreme` its furthest value."""

    name: str
    last_value: int
    is_called: bool
    increment: int
    owner: str | None
    extreme: int | None

    @property
    def next_value(self) -> int:
        """What nextval would give, limits aside."""
        return self.last_value + self.increment if self.is_called else self.last_value

    @property
    def would_collide(self) -> bool:
        """Whether the next value is already taken, or lies behind one that is."""
        if self.extreme is None:
            return False
        return self.next_value <= self.extreme if self.increment > 0 else self.next_value >= self.extreme


@dataclass(frozen=True, slots=True)
class Digests:
    """One database at one moment: rows, definitions, sequences, and the unlogged tables left out."""

    tables: dict[str, TableDigest]
    definitions: dict[str, str]
    sequences: dict[str, SequencePosition]
    unlogged: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())


def capture(
    dsn: str, snapshot: str | None = None, *, schemas: Sequence[str] | None = None, workers: int = 2
) -> Digests:
    """The digests of the database at `dsn`, as the exported `snapshot` shows it or as it is now.

    Without a snapshot one transaction exports its own for the parallel readers, so that all tables are of
    one moment. `schemas` limits it to some. `SourceError` when the database can't be reached, or when
    somebody waits to truncate or alter a table: readers then queue behind him, and for a held point
    `capture_within` its own connection is the way.
    """
    with session.connect(dsn, "database to compare") as connection:
        session.begin(connection, snapshot)
        if snapshot is None:
            row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            assert row is not None
            snapshot = str(row[0])
        # The largest first, so that no reader is left with it at the end.
        tables = sorted(_logged(connection, schemas), key=lambda table: -table.size)
        lanes = [tables[lane::workers] for lane in range(workers)]
        with ThreadPoolExecutor(workers, thread_name_prefix="digest") as pool:
            done = [pool.submit(_digest_lane, dsn, snapshot, lane) for lane in lanes]
            digests = [found for lane in done for found in lane.result()]
        return _digests(connection, digests, schemas)


def capture_within(connection: psycopg.Connection, *, schemas: Sequence[str] | None = None) -> Digests:
    """The digests as the open transaction of `connection` sees the database.

    It reads through locks that the transaction holds already, so that nobody who waits for a lock can stand
    in its way; large tables are read in parallel by PostgreSQL itself.
    """
    tables = _logged(connection, schemas)
    return _digests(connection, [digest(connection, table) for table in tables], schemas)


def list_tables(connection: psycopg.Connection) -> list[Table]:
    """The tables and partitions that hold rows, as this transaction sees them."""
    return [
        Table(schema, name, tuple(columns or ()), tuple(key or ()), logged, int(size or 0))
        for schema, name, logged, columns, key, size in connection.execute(catalog.TABLES)
    ]


def digest(connection: psycopg.Connection, table: Table) -> TableDigest:
    """The digest of one table, computed by the server."""
    start = time.monotonic()
    query = sql.SQL(
        "SELECT count(*), coalesce(sum(('x' || substr(m, 1, 16))::bit(64)::bigint), 0), "
        "coalesce(sum(('x' || substr(m, 17, 16))::bit(64)::bigint), 0) FROM (SELECT md5({}) AS m FROM {} "
        "OFFSET 0) r"
    ).format(table.row_text(), table.source())
    row: Any = connection.execute(query).fetchone()
    return TableDigest(table, int(row[0]), f"{row[1]}:{row[2]}", time.monotonic() - start)


def _digest_lane(dsn: str, snapshot: str, tables: list[Table]) -> list[TableDigest]:
    with session.connect(dsn, "database to compare") as connection:
        session.begin(connection, snapshot)
        try:
            return [digest(connection, table) for table in tables]
        except psycopg.errors.LockNotAvailable:
            raise SourceError(
                "A table can't be read: somebody waits to truncate or alter it, and readers queue behind "
                "him.",
                next_step="let that statement through, or end it (pg_stat_activity), and compare again",
            ) from None


def _logged(connection: psycopg.Connection, schemas: Sequence[str] | None) -> list[Table]:
    return [
        table
        for table in list_tables(connection)
        if table.logged and (schemas is None or table.schema in schemas)
    ]


def _digests(
    connection: psycopg.Connection, digests: list[TableDigest], schemas: Sequence[str] | None
) -> Digests:
    definitions = catalog.definitions(connection)
    unlogged = [table for table in list_tables(connection) if not table.logged]
    return Digests(
        tables={
            found.table.full_name: found for found in sorted(digests, key=lambda found: found.table.full_name)
        },
        definitions={name: text for name, text in definitions.items() if _wanted(name, schemas)},
        sequences=_sequences(connection, schemas),
        unlogged=tuple(table.full_name for table in unlogged if schemas is None or table.schema in schemas),
    )


def _wanted(name: str, schemas: Sequence[str] | None) -> bool:
    kind, _, rest = name.partition(" ")
    return schemas is None or kind == "extension" or rest.split(".", 1)[0].strip('"') in schemas


def _sequences(connection: psycopg.Connection, schemas: Sequence[str] | None) -> dict[str, SequencePosition]:
    positions = {}
    for sequence in list_sequences(connection):
        if schemas is not None and sequence.schema not in schemas:
            continue
        query = sql.SQL("SELECT last_value, is_called FROM {}")
        row: Any = connection.execute(query.format(sql.Identifier(sequence.schema, sequence.name))).fetchone()
        owner = sequence.owner
        name = f"{sequence.schema}.{sequence.name}"
        positions[name] = SequencePosition(
            name,
            last_value=row[0],
            is_called=row[1],
            increment=sequence.increment,
            owner=None if owner is None else f"{owner.schema}.{owner.table}.{owner.name}",
            extreme=furthest(connection, sequence),
        )
    return positions
