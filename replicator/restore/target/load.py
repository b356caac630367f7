"""COPY of one table's rows, and what is built on them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.copy import QueuedLibpqWriter

from replicator.debezium import binary
from replicator.debezium.binary import NotPlainError
from replicator.errors import RefusedError
from replicator.restore.errors import ProofError, SchemaRefusedError
from replicator.restore.rows.surviving import Counted, Rows, caveats, check_types
from replicator.restore.rows.table import Table
from replicator.restore.table_rows import TableRows
from replicator.restore.target.database import Connection, failed, is_failing

# Equal rows are told apart by their place, so that of identical ones only as many go as were taken away.
_SUBTRACT = """
DELETE FROM pg_temp.written_rows WHERE ctid IN (
    SELECT present.place
      FROM (SELECT ctid AS place, (t.*)::text AS image, row_number() OVER (PARTITION BY (t.*)::text) AS copy
              FROM pg_temp.written_rows t) present
      JOIN (SELECT (r.*)::text AS image, count(*) AS copies FROM pg_temp.removed_rows r GROUP BY 1) gone
        ON gone.image = present.image AND present.copy <= gone.copies)
"""


def copy(connection: Connection, rows: Rows, again: Callable[[], Rows], *, fresh: bool) -> Rows:
    """Write the rows into their table, in one transaction; returns what was counted meanwhile.

    Binary where all types and values have that form, otherwise as text, for which `again` makes the same
    pass once more.
    With `fresh` the table has neither rows nor foreign keys yet, and rows are written frozen: no later pass
    has to touch them again. `RefusedError` with PostgreSQL's message when it doesn't take a row.
    """
    check_types(rows)
    with _refusing(rows.table):
        by_image = rows.is_counted_by_image()
        if rows.removed_apart:
            _copy_apart(connection, rows)
            return rows
        if not by_image:
            try:
                with _begun(connection, rows.table, fresh=fresh) as cursor:
                    found = _constants(cursor, rows.table, rows.constants())
                    _copy(cursor, rows.table, _framed(rows.pieces(found)), as_binary=True, freeze=fresh)
            except (NotPlainError, psycopg.DataError, psycopg.IntegrityError):
                # Text knows more values; and if the row is wrong, it is text that says so readably.
                rows = again()
            else:
                return rows
        from replicator.restore.rows import text_rows  # not before a table needs it

        with _begun(connection, rows.table, fresh=fresh) as cursor:
            pieces = map(text_rows.csv, text_rows.batches(rows))
            _copy(cursor, rows.table, pieces, as_binary=False, freeze=fresh)
    return rows


def by_kernel(
    connection: Connection, taken: TableRows, *, fresh: bool
) -> tuple[Counted, list[tuple[str, str]]]:
    """Load a table's rows with this machine's own fold; returns what was counted, and the columns of which
    values may have been changed on the way, and how. Raises as `copy` does.
    """
    read = taken.rows()
    if taken.any:
        read = copy(connection, read, taken.rows, fresh=fresh)
    return read.counted, caveats(read)


@dataclass(frozen=True, slots=True)
class CopyPart:
    """Some of a table's rows, ready for COPY: in pieces, with the form's header and trailer."""

    pieces: Iterable[bytes]
    as_binary: bool
    rows: int


class CopyParts(Protocol):
    """Makes the parts of a table; as text, if it is asked for, also where there is a binary form."""

    def __call__(self, *, as_text: bool) -> Sequence[CopyPart]:
        """The parts, in the order in which they are written."""
        ...


def copy_parts(connection: Connection, table: Table, parts: CopyParts, *, fresh: bool) -> None:
    """As `copy`, of rows that were made elsewhere. `ProofError` when one of the parts isn't all there."""
    with _refusing(table):
        try:
            _copy_parts(connection, table, parts(as_text=False), fresh=fresh)
        except (psycopg.DataError, psycopg.IntegrityError):
            _copy_parts(connection, table, parts(as_text=True), fresh=fresh)


def _copy_parts(connection: Connection, table: Table, parts: Sequence[CopyPart], *, fresh: bool) -> None:
    with _begun(connection, table, fresh=fresh) as cursor:
        for part in parts:
            _copy(cursor, table, part.pieces, as_binary=part.as_binary, freeze=fresh)
            if cursor.rowcount != part.rows:
                raise ProofError(
                    f"COPY took {cursor.rowcount} rows of {table.collection} where {part.rows} were made.",
                    next_step="restore with --engine local, and report it: this must not happen",
                )


def constants(
    connection: Connection, table: Table, texts: Mapping[str, str | None]
) -> dict[str, binary.Constant]:
    """Stored constants of the table's columns, given as text, in PostgreSQL's binary form."""
    with _refusing(table), connection.transaction(), connection.cursor() as cursor:
        return _constants(cursor, table, texts)


def _copy_apart(connection: Connection, rows: Rows) -> None:
    """Write the rows of a table without a key that are left of all that were written, once PostgreSQL has
    taken away what updates and deletes took away; it compares whole rows by the text that it prints for them.

    All of them together need not be what the table's constraints allow, so they are written elsewhere first.
    `ProofError` when a row isn't there.
    """
    from replicator.restore.rows import text_rows  # not before a table needs it

    table = rows.table
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    with connection.transaction(), connection.cursor() as cursor:
        for name in ("written_rows", "removed_rows"):
            made = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT * FROM {} WITH NO DATA")
            cursor.execute(made.format(sql.SQL(name), _own_rows(table)))
        for into, batches in (("written", text_rows.batches(rows)), ("removed", text_rows.removed(rows))):
            pieces = map(text_rows.csv, batches)
            _copy(cursor, table, pieces, as_binary=False, into=f"pg_temp.{into}_rows")
        cursor.execute("SELECT count(*) FROM pg_temp.removed_rows")
        wanted = int((cursor.fetchone() or (0,))[0])
        cursor.execute(_SUBTRACT)
        if cursor.rowcount != wanted:
            raise ProofError(
                f"{table.collection} has no key, and {wanted - cursor.rowcount} of its deletes or updates "
                "take away "
                "rows that were never written.",
                next_step="restore from another destination; if that fails as well, the source lost events",
            )
        filled = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_temp.written_rows")
        cursor.execute(filled.format(sql.SQL(table.identity), columns, columns))
    rows.counted.rows -= wanted


@contextmanager
def _begun(connection: Connection, table: Table, *, fresh: bool) -> Iterator[psycopg.Cursor[Any]]:
    """A transaction in which a fresh table's storage is new, which is what FREEZE asks for."""
    with connection.transaction(), connection.cursor() as cursor:
        if fresh:
            cursor.execute(sql.SQL("TRUNCATE {}").format(_own_rows(table)))
        yield cursor


def _copy(
    cursor: psycopg.Cursor[Any],
    table: Table,
    pieces: Iterable[bytes],
    *,
    as_binary: bool,
    freeze: bool = False,
    into: str | None = None,
) -> None:
    # A partitioned table can't be frozen: its rows go to tables that this transaction didn't make.
    options = ("binary" if as_binary else "csv") + (", FREEZE" if freeze and not table.partitioned else "")
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})").format(
        sql.SQL(into or table.identity),  # already quoted by PostgreSQL
        sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
        sql.SQL(options),
    )
    with cursor.copy(statement, writer=QueuedLibpqWriter(cursor)) as copying:
        for piece in pieces:
            copying.write(piece)


def _own_rows(table: Table) -> sql.Composable:
    """The table without those that inherit from it: they are filled by themselves, perhaps before it."""
    return sql.SQL("{}" if table.partitioned else "ONLY {}").format(sql.SQL(table.identity))


def _framed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield binary.HEADER
    yield from pieces
    yield binary.TRAILER


def _constants(
    cursor: psycopg.Cursor[Any], table: Table, texts: Mapping[str, str | None]
) -> dict[str, binary.Constant]:
    """Stored constants in PostgreSQL's binary form, asked of PostgreSQL itself."""
    found = {name: binary.Constant(None) for name in texts}
    types = dict(
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::oid "
            "AND attname = ANY(%s)",
            (table.oid, [name for name, text in texts.items() if text is not None]),
        )
        if any(text is not None for text in texts.values())
        else ()
    )
    for name, declared in types.items():
        # A type's name may have a percent sign, which a parameter's query reads as one of its own.
        statement = sql.SQL("SELECT %s::{}").format(sql.SQL(declared.replace("%", "%%")))
        cursor.execute(statement, (texts[name],), binary=True)
        result = cursor.pgresult
        found[name] = binary.Constant(result.get_value(0, 0) if result is not None else None)
    return found


@contextmanager
def _refusing(table: Table) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise
    except psycopg.Error as error:
        if is_failing(error):
            raise failed(error) from error
        raise RefusedError(
            f"The target doesn't take a row of {table.collection}: {str(error).strip()}",
            next_step="the row or the table's definition isn't what the source has; restore from another "
            "destination and compare",
        ) from error


def prepare(connection: Connection, *, fresh: bool) -> None:
    """Settings for loading. They end with the connection."""
    connection.execute(
        "SET client_min_messages = error; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; "
        "SET jit = off; SET statement_timeout = 0; SET lock_timeout = 0; "
        "SET idle_in_transaction_session_timeout = 0; "
        "SET \"DateStyle\" = 'ISO, YMD'; SET \"IntervalStyle\" = 'postgres'; SET \"TimeZone\" = 'UTC'; "
        "SET client_encoding = 'UTF8'; SET search_path = ''; SET row_security = off; SET lc_monetary = 'C'"
    )
    if not fresh:
        try:
            # Triggers and foreign keys are there already; the source has run them once.
            connection.execute("SET session_replication_role = replica")
        except psycopg.errors.InsufficientPrivilege as error:
            raise SchemaRefusedError(
                "Rows have to be loaded past triggers that exist already, and the user of --target may not "
                "do that "
                "(session_replication_role).",
                next_step="restore as a superuser, or to a moment just after a logged schema dump",
            ) from error
