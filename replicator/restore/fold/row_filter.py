"""Which rows of a table belong to some owners, by one column: told from the records, before they are rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from replicator.avro.program import Path
from replicator.debezium import names
from replicator.debezium.pgtypes import PgType
from replicator.errors import ConfigError, RefusedError
from replicator.restore.segments.records import Chunk

_NUMBERS = ("int2", "int4", "int8")
_TEXTS = ("text", "varchar", "uuid")


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows whose `column` has one of these values, as PostgreSQL prints them."""

    column: str
    values: tuple[str, ...]

    @property
    def field(self) -> str:
        """The column's name in Avro."""
        return names.field(self.column)

    def of_type(self, collection: str, pg_type: PgType) -> RowFilter:
        """The same with its values as the type prints them.

        `ConfigError` for a value that the type can't have, `RefusedError` for a type whose values can be
        printed in several ways.
        """
        if pg_type.kind != "b" or pg_type.name not in (*_NUMBERS, *_TEXTS):
            raise RefusedError(
                f"{collection}.{self.column} has the type {pg_type}; rows are chosen by integers, "
                "uuid or text.",
                next_step="restore the whole tables (--tables), and choose there by SQL",
            )
        try:
            return RowFilter(self.column, tuple(_printed(value, pg_type.name) for value in self.values))
        except ValueError:
            raise ConfigError(
                f"{', '.join(map(repr, self.values))}: {collection}.{self.column} is of type {pg_type}."
            ) from None

    def has(self, constant: str | None) -> bool:
        """Whether a row with this value, None for NULL, belongs."""
        return constant in self.values

    def of(self, chunk: Chunk, path: Path) -> Any:
        """For each record whether the row that has the column at this path belongs; False without one."""
        kind = chunk.columns.root.at(path).kind
        if kind in ("int", "long"):
            wanted = np.array([int(value) for value in self.values], np.int64)
            return np.isin(chunk.values(path), wanted) & chunk.present(path)
        if kind not in ("string", "bytes"):
            raise RefusedError(
                f"The column {self.column!r} arrives as {kind}, by which no row can be chosen.",
                next_step="restore the whole tables (--tables), and choose there by SQL",
            )
        starts, lengths = chunk.texts(path)
        found = np.zeros(len(starts), bool)
        for value in self.values:
            body = np.frombuffer(value.encode(), np.uint8)
            [same] = np.nonzero(lengths == len(body))
            places = starts[same, None] + np.arange(len(body))
            found[same[(chunk.columns.data[places] == body).all(axis=1)]] = True
        return found


def _printed(value: str, type_name: str) -> str:
    if type_name in _NUMBERS:
        return str(int(value))
    return str(UUID(value)) if type_name == "uuid" else value
