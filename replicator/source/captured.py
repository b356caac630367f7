"""Which tables are captured, read from PostgreSQL's catalogues."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from replicator.source.database import Connection


class TableName(NamedTuple):
    """A table by its two plain names, unquoted."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Table:
    """What the connector's configuration needs to know of one table."""

    name: TableName
    kind: str
    """`r` an ordinary table, `p` a partitioned one."""
    columns: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    is_partition: bool = False
    has_children: bool = False
    """True for a parent of inherited tables or partitions."""
    replica_identity: str = "f"


@dataclass(frozen=True, slots=True)
class Captured:
    """All permanent tables of the captured schemas, in the order of their names."""

    tables: tuple[Table, ...] = field(default=())

    @property
    def partitions(self) -> tuple[Table, ...]:
        """Partitions of any level: the stream names their root."""
        return tuple(table for table in self.tables if table.is_partition)

    @property
    def streams(self) -> tuple[Table, ...]:
        """The tables that have a topic of their own."""
        return tuple(table for table in self.tables if not table.is_partition)

    @property
    def inherited(self) -> tuple[Table, ...]:
        """Ordinary parents: a plain SELECT on them reads their children too."""
        return tuple(table for table in self.streams if table.kind == "r" and table.has_children)


def is_excluded(name: TableName, patterns: Sequence[str]) -> bool:
    """Whether one of `source.exclude_tables` (regular expressions) names the table as a whole."""
    return any(re.fullmatch(pattern, str(name), re.IGNORECASE) for pattern in patterns)


def read(connection: Connection, schemas: Sequence[str]) -> Captured:
    """The permanent tables of `schemas` as the catalogues have them now; excluded ones are among them."""
    rows = connection.execute(
        """
        SELECT n.nspname, c.relname, c.relkind::text, c.relispartition, c.relreplident::text,
            EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
            ARRAY(SELECT a.attname::text FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                  ORDER BY a.attnum),
            ARRAY(SELECT a.attname::text FROM pg_index i
                  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
                  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                  WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts
                  ORDER BY k.position)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname = ANY (%s)
        ORDER BY n.nspname, c.relname
        """,
        (list(schemas),),
    ).fetchall()
    return Captured(
        tuple(
            Table(
                name=TableName(str(schema), str(table)),
                kind=str(kind),
                columns=tuple(columns),
                primary_key=tuple(key),
                is_partition=bool(partition),
                has_children=bool(children),
                replica_identity=str(identity),
            )
            for schema, table, kind, partition, identity, children, columns, key in rows
        )
    )
