"""Which rows of a table differ, by key and by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import sql

from replicator.compare.digest import Table

_SHOWN = 80
Kind = Literal["missing", "unexpected", "changed"]


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that isn't the same in the target.

    `key` is the key's text (the whole row's for a table without a key); `columns` gives the values of the
    source and of the target where both have the row; `copies` how many rows of that kind the target has too
    few (missing) or too many (unexpected).
    """

    table: str
    kind: Kind
    key: str
    columns: dict[str, tuple[str | None, str | None]]
    copies: int = 1

    def __str__(self) -> str:
        times = f" ({self.copies} times)" if self.copies > 1 else ""
        values = "; ".join(
            f"{name}: {_short(was)} became {_short(now)}" for name, (was, now) in self.columns.items()
        )
        return f"{self.table} {_short(self.key)} {self.kind}{times}" + (f": {values}" if values else "")


def row_differences(
    source: psycopg.Connection, target: psycopg.Connection, table: Table, limit: int = 20
) -> list[RowDifference]:
    """The first `limit` rows that differ, in the order of their keys' bytes.

    Both connections must come from `replicator.compare.session` and be inside the transactions whose digests
    differ. Reads keys and digests of both tables as two ordered streams; only differing rows are fetched
    whole.
    """
    found: list[RowDifference] = []
    for key, ours, theirs in _merge(_stream(source, table), _stream(target, table)):
        if ours == theirs:
            continue
        found.append(_difference(source, target, table, key, ours, theirs))
        if len(found) == limit:
            break
    return found


def _stream(connection: psycopg.Connection, table: Table) -> Iterator[tuple[str, str]]:
    """(key, digest) for a table with a key, (row, number of copies) for one without; ordered by the first."""
    if table.key:
        query = sql.SQL("SELECT {key} AS k, md5({row}) FROM {table} ORDER BY 1").format(
            key=table.key_text(), row=table.row_text(), table=table.source()
        )
    else:
        query = sql.SQL(
            'SELECT {row} COLLATE "C" AS k, count(*)::text FROM {table} GROUP BY 1 ORDER BY 1'
        ).format(row=table.row_text(), table=table.source())
    with connection.cursor(name="replicator_compare") as cursor:
        cursor.itersize = 10_000
        cursor.execute(query)
        yield from cursor


def _merge(
    ours: Iterator[tuple[str, str]], theirs: Iterator[tuple[str, str]]
) -> Iterator[tuple[str, str | None, str | None]]:
    # Python orders text by code point, which for UTF-8 is the order of COLLATE "C".
    left, right = next(ours, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = next(ours, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(theirs, None)
        else:
            yield left[0], left[1], right[1]
            left, right = next(ours, None), next(theirs, None)


def _difference(
    source: psycopg.Connection,
    target: psycopg.Connection,
    table: Table,
    key: str,
    ours: str | None,
    theirs: str | None,
) -> RowDifference:
    if not table.key:
        surplus = int(theirs or 0) - int(ours or 0)
        kind: Kind = "unexpected" if surplus > 0 else "missing"
        return RowDifference(table.full_name, kind, key, {}, abs(surplus))
    if ours is None or theirs is None:
        return RowDifference(table.full_name, "missing" if theirs is None else "unexpected", key, {})
    was, now = _values(source, table, key), _values(target, table, key)
    columns = {
        name: (was.get(name), now.get(name)) for name in table.columns if was.get(name) != now.get(name)
    }
    return RowDifference(table.full_name, "changed", key, columns)


def _values(connection: psycopg.Connection, table: Table, key: str) -> dict[str, str | None]:
    columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.columns)
    row = connection.execute(
        # No parameter: a percent sign in a name would be taken for another one.
        sql.SQL("SELECT {} FROM {} WHERE {} = {}").format(
            columns, table.source(), table.key_text(), sql.Literal(key)
        )
    ).fetchone()
    return dict(zip(table.columns, row or (), strict=False))


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}… ({len(value)} characters)"
