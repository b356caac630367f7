"""What tables and columns were called while their rows were captured.

A table is its oid and a column its attnum, whatever they are called. Between two positions of the WAL both
have one name: an epoch. A DDL command that changes names takes the table's exclusive lock, so every row of
that table lies on one side of the log's row about it: an epoch is told by the LSN alone, also inside of the
DDL's own transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from replicator.debezium import names
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.naming import START, Held

__all__ = ["START", "Definition", "Epoch", "Lost", "Past", "Told"]

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Epoch:
    """While a table was `collection` (Debezium's name) and its columns had one set of names.

    It has the records with `after < lsn <= until` (None: no end), and the snapshot's when `after` is START.
    `fields` gives the Avro field of each of the cut's columns that was there already, None: as it is called
    at the cut. `types` has the declared type of those whose values were written in another form than at the
    cut. Up to `reread` its records send rows that were there before it. `nullable` says from which LSN on
    which of the cut's columns may be NULL; the last entry before a record's LSN counts.
    """

    collection: str = ""
    after: int = START
    until: int | None = None
    fields: Mapping[str, str] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    reread: int | None = None
    nullable: Sequence[tuple[int, frozenset[str]]] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it is all there ever was."""
        return self.after == START and self.until is None

    def field(self, column: str) -> str | None:
        """The Avro field of a column of the cut; None when the column is younger."""
        return names.field(column) if self.fields is None else self.fields.get(column)


@dataclass(frozen=True, slots=True)
class Past:
    """Where the rows of a table of the cut are. `key` is its primary key, if it was the same all the time."""

    epochs: tuple[Epoch, ...]
    key: tuple[str, ...] = ()

    def collections(self) -> list[str]:
        """All names it had, the newest first."""
        return list(dict.fromkeys(epoch.collection for epoch in reversed(self.epochs)))


@dataclass(frozen=True, slots=True)
class Lost:
    """A command after which the rows of a table aren't what was captured before it, and why. `partition` is
    the oid of the one that came or went with it.
    """

    row: DdlRow
    why: str
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the log tells up to a cut; tables by PostgreSQL's own quoted name.

    `added` gives, for each column that came after rows were there, the constant that PostgreSQL stored for
    those rows (its text, or None for NULL). `lost` names tables whose rows can't be carried to the cut;
    `held` says which names were some table's, and when.
    """

    definitions: dict[str, Definition]
    pasts: dict[str, Past]
    added: dict[tuple[str, str], str | None]
    lost: dict[str, Lost]
    held: Held
