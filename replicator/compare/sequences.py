"""The sequences of a database, and how far the columns have come that draw from them.

For whoever tells whether a sequence would give a value that is taken, and for whoever sets one so that it
doesn't.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from replicator.compare import catalog


@dataclass(frozen=True, slots=True)
class Column:
    """A column by the names of its schema, its table and itself."""

    schema: str
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence as it was defined; `owner` is the column that owns it, if that can hold its values.

    A column that isn't of whole numbers or numeric says nothing: 'INV-7' may come of anything.
    """

    schema: str
    name: str
    quoted: str
    """Schema and name as SQL has them."""
    increment: int
    low: int
    high: int
    owner: Column | None

    @property
    def up(self) -> bool:
        """Whether its values grow."""
        return self.increment > 0


def list_sequences(connection: psycopg.Connection[Any]) -> list[Sequence]:
    """All but temporary and unlogged ones, as this transaction sees them, by schema and name."""
    return [
        Sequence(schema, name, quoted, increment, low, high, None if owner[0] is None else Column(*owner))
        for schema, name, quoted, increment, low, high, *owner in connection.execute(catalog.SEQUENCES)
    ]


def furthest(connection: psycopg.Connection[Any], sequence: Sequence) -> int | None:
    """The furthest value in the owner, in the sequence's direction and within its bounds; outside of them it
    wasn't the sequence that gave it. None without any."""
    owner = sequence.owner
    if owner is None:
        return None
    # No parameters: beside them a percent sign in a name would be taken for one.
    query = sql.SQL("SELECT {}({column})::int8 FROM {} WHERE {column} BETWEEN {} AND {}").format(
        sql.SQL("max" if sequence.up else "min"),
        sql.Identifier(owner.schema, owner.table),
        sql.Literal(sequence.low),
        sql.Literal(sequence.high),
        column=sql.Identifier(owner.name),
    )
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]
