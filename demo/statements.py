"""Statements that several transactions share."""

from __future__ import annotations

from random import Random
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from demo import columns, rows

Cursor = psycopg.Cursor[tuple[object, ...]]

_WITHOUT_ID = {"households": columns.HOUSEHOLD, "bookings": columns.BOOKING, "payments": columns.PAYMENT,
               "budget_lines": columns.BUDGET_LINE, "documents": columns.DOCUMENT, "tasks": columns.TASK,
               "readings": columns.READING}  # fmt: skip
_WITH_ID = {
    "guests": columns.GUEST,
    "rsvps": columns.RSVP,
    "photos": columns.PHOTO,
    "activity": columns.ACTIVITY,
}


class AbandonedError(Exception):
    """The transaction is to be rolled back, on purpose."""


def insert(cursor: Cursor, table: str, row: rows.Row) -> int:
    """Insert a generated row; the number that the table's sequence gave it, 0 where it has none."""
    names, values, returning = _WITH_ID.get(table), row, sql.SQL("")
    if names is None:
        names, values, returning = _WITHOUT_ID[table][1:], row[1:], sql.SQL(" RETURNING id")
    if table == "bookings":
        # The invoice's number comes from its own sequence.
        at = names.index("invoice")
        names, values = names[:at] + names[at + 1 :], values[:at] + values[at + 1 :]
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({}){}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join([sql.Placeholder()] * len(names)),
            returning,
        ),
        values,
    )
    if table in _WITH_ID:
        return 0
    number = cursor.fetchone()
    assert number is not None
    return int(str(number[0]))


def ids(cursor: Cursor, query: LiteralString, *arguments: object) -> list[object]:
    """The first column of what a query finds."""
    return [row[0] for row in cursor.execute(query, arguments).fetchall()]


def some_guests(cursor: Cursor, rng: Random, wedding: int, limit: int) -> list[UUID]:
    """The ids of up to `limit` of a wedding\'s guests, chosen by the generator."""
    found = ids(cursor, "SELECT id FROM guests WHERE wedding_id = %s ORDER BY id", wedding)
    return [guest for guest in rng.sample(found, min(limit, len(found))) if isinstance(guest, UUID)]


def log(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A line in the activity log, sometimes the same line twice."""
    row = rows.activity(rng, wedding)
    for _ in range(2 if rng.random() < 0.1 else 1):
        insert(cursor, "activity", row)
