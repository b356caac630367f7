"""The canary's table and rows in the source: a column for each type in use, a row for each set of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from replicator.debezium.pgtypes import COLUMN_TYPES, PgType, from_row
from replicator.source.canary_types import Samples, TypeInUse, samples
from replicator.source.database import Connection

_LOCK = 0x63616E72
"""Key of the advisory lock that keeps two canaries apart."""

ALWAYS_DEFAULTED = {
    "null_text": ("text", "the default"),
    "null_integer": ("integer", "7"),
    "null_boolean": ("boolean", "true"),
    "null_numeric": ("numeric", "1.5"),
    "null_timestamptz": ("timestamp with time zone", "2026-01-01 00:00:00+00"),
}
"""Columns that are there whatever the database has: NULL in a defaulted column is what matters first."""

RETYPED, WRITTEN_AS = "retyped", "int4"
"""A column whose type is changed behind the rows, in their transaction, and the type that they have it in."""

FILLED = "filled"
"""A column that is NULL in all rows and made NOT NULL behind them, without an event of its filling."""

_DEFAULTABLE = frozenset(
    (
        *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "uuid"),
        *("json", "jsonb", "date", "time", "timestamp", "timestamptz", "interval"),
    )
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the canary: the type that it tries and the texts that were put in, row by row."""

    name: str
    declared: str
    pg_type: PgType
    use: TypeInUse | None
    samples: Samples


@dataclass(frozen=True, slots=True)
class Planted:
    """What was written: `expected[row][column]` is PostgreSQL's own text or None. Row 0 is all NULL."""

    run: str
    columns: tuple[Column, ...]
    expected: Mapping[int, Mapping[str, str | None]]


def plant(connection: Connection, run: str, types: Sequence[TypeInUse]) -> Planted:
    """Make the table anew and write the rows, in one transaction that ends before this returns.

    It is made anew because dropped columns would count against PostgreSQL's limit of 1,600.
    """
    columns = [*_always(), *(_column(connection, number, use) for number, use in enumerate(types))]
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute("DROP TABLE IF EXISTS replicator.canary")
        connection.execute(
            sql.SQL(
                "CREATE TABLE replicator.canary "
                "(id int PRIMARY KEY, run text NOT NULL, {}, {} int DEFAULT 7, {} int)"
            ).format(
                sql.SQL(", ").join(_definition(column) for column in columns),
                sql.Identifier(RETYPED),
                sql.Identifier(FILLED),
            )
        )
        connection.execute("ALTER TABLE replicator.canary REPLICA IDENTITY FULL")
        expected: dict[int, dict[str, str | None]] = {}
        rows = 1 + max(len(c.samples.ordinary) + len(c.samples.rare) for c in columns)
        for row in range(rows):
            expected[row] = {column.name: _sample(column, row) for column in columns}
            _insert(connection, run, row, columns, expected[row])
        connection.execute(
            sql.SQL(
                "ALTER TABLE replicator.canary ALTER COLUMN {} TYPE int8, "
                "ALTER COLUMN {filled} TYPE int USING 1, ALTER COLUMN {filled} SET NOT NULL"
            ).format(sql.Identifier(RETYPED), filled=sql.Identifier(FILLED))
        )
        return Planted(run, _with_types(connection, columns), expected)


def tidy(connection: Connection) -> None:
    """Drop the columns of types that aren't PostgreSQL's own: the types couldn't be dropped."""
    foreign = connection.execute(
        """
        SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
        WHERE a.attrelid = to_regclass('replicator.canary') AND a.attnum > 0 AND NOT a.attisdropped
          AND coalesce(e.typnamespace, t.typnamespace) <> 'pg_catalog'::regnamespace
        """
    ).fetchall()
    for (name,) in foreign:
        connection.execute(
            sql.SQL("ALTER TABLE replicator.canary DROP COLUMN {}").format(sql.Identifier(name))
        )


def canonical(connection: Connection, texts: Sequence[tuple[str, str]]) -> list[str | None]:
    """What PostgreSQL prints for each (text, type); None where it doesn't accept the text."""
    if not texts:
        return []
    rows = connection.execute(
        "SELECT replicator.canary_text(v, t) "
        "FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS x(v, t, n) ORDER BY n",
        ([text for text, _ in texts], [declared for _, declared in texts]),
    ).fetchall()
    return [None if row[0] is None else str(row[0]) for row in rows]


def _always() -> list[Column]:
    return [
        Column(name, declared, PgType(""), None, Samples((default,)))
        for name, (declared, default) in ALWAYS_DEFAULTED.items()
    ]


def _column(connection: Connection, number: int, use: TypeInUse) -> Column:
    wanted = _wanted(connection, use)
    texts = [*wanted.ordinary, *wanted.rare]
    accepted = canonical(connection, [(text, use.declared) for text in texts])
    # A domain's CHECK, a length or a precision refuses some; what is kept is in PostgreSQL's own words.
    cut = len(wanted.ordinary)
    kept = Samples(
        tuple(text for text in accepted[:cut] if text is not None),
        tuple(text for text in accepted[cut:] if text is not None),
    )
    plain = "".join(char if char.isalnum() and char.isascii() else "_" for char in use.declared)[:40]
    return Column(f"c{number:03d}_{plain}", use.declared, use.pg_type, use, kept)


def _wanted(connection: Connection, use: TypeInUse) -> Samples:
    if (use.pg_type.element or use.pg_type).kind not in ("e", "c"):
        return samples(use.pg_type)
    row = connection.execute(
        """
        SELECT ARRAY(SELECT l.enumlabel::text FROM pg_enum l
                     WHERE l.enumtypid = b.oid ORDER BY l.enumsortorder),
            (SELECT count(*) FROM pg_attribute a
             WHERE a.attrelid = b.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
        FROM pg_type t JOIN pg_type b ON b.oid = coalesce(nullif(t.typelem, 0), t.oid)
        WHERE t.oid = %s::regtype
        """,
        (use.declared,),
    ).fetchone()
    return samples(use.pg_type, row[0], row[1]) if row else Samples()


def _definition(column: Column) -> sql.Composable:
    # The declared type is format_type's own output and can't be quoted as a name.
    declared = sql.SQL(column.declared)
    has_default = column.use is None or (column.use.has_default and column.pg_type.name in _DEFAULTABLE)
    if not has_default or not column.samples.ordinary:
        return sql.SQL("{} {}").format(sql.Identifier(column.name), declared)
    return sql.SQL("{} {} DEFAULT {}").format(
        sql.Identifier(column.name), declared, sql.Literal(column.samples.ordinary[0])
    )


def _sample(column: Column, row: int) -> str | None:
    """Row 0 is NULL; the rows after it take the samples in turn and NULL where there is none left."""
    texts = (*column.samples.ordinary, *column.samples.rare)
    return texts[row - 1] if 0 < row <= len(texts) else None


def _insert(
    connection: Connection, run: str, row: int, columns: Sequence[Column], values: Mapping[str, str | None]
) -> None:
    connection.execute(
        sql.SQL("INSERT INTO replicator.canary VALUES ({}, {}, {})").format(
            sql.Literal(row),
            sql.Literal(run),
            sql.SQL(", ").join(
                sql.SQL("NULL") if values[column.name] is None else sql.Literal(values[column.name])
                for column in columns
            ),
        )
    )


def _with_types(connection: Connection, columns: Sequence[Column]) -> tuple[Column, ...]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: list[dict[str, Any]] = cursor.execute(
            """SELECT to_regclass('replicator.canary')::oid::int8 AS oid"""
        ).fetchall()
        cursor.execute(COLUMN_TYPES, {"relations": [rows[0]["oid"]]})
        types = {row["name"]: from_row(row) for row in cursor}
    return tuple(Column(c.name, c.declared, types[c.name], c.use, c.samples) for c in columns)
