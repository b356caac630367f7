"""A table as a restore fills it, and those of its columns that come from records."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.debezium import names
from replicator.debezium.pgtypes import PgType
from replicator.restore.errors import SchemaRefusedError


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is restored from records; generated ones are computed by PostgreSQL."""

    name: str
    type: PgType

    @property
    def field(self) -> str:
        """Its name in Avro."""
        return names.field(self.name)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the target, as a restore fills it."""

    schema: str
    name: str
    oid: int
    partitioned: bool
    columns: tuple[Column, ...]
    identity: str
    """PostgreSQL's own quoted name, as the DDL log has it."""

    @property
    def collection(self) -> str:
        """Debezium's name for it."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column:
        """The column of that name; `SchemaRefusedError` without one that is restored from records."""
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaRefusedError(
            f"{self.collection}.{name} isn't stored: PostgreSQL computes it.",
            next_step="restore the whole table (--tables), and choose its rows there by SQL",
        )
