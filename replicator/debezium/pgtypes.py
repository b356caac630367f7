"""A column's type as PostgreSQL's catalogue knows it, which decides how its values are read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PgType:
    """One type, domains resolved to what they stand on.

    `name` is `pg_type.typname` (`int4`, `timestamptz`, `_text` for arrays); `kind` is `pg_type.typtype`
    (b base, e enum, c composite, r range, m multirange); `element` is the element's type when it is an array;
    `length` is n of bit(n), None elsewhere.
    """

    name: str
    kind: str = "b"
    element: PgType | None = None
    length: int | None = None
    oid: int | None = field(default=None, compare=False)
    """Of an array's element: its number in the database that was asked."""

    def __str__(self) -> str:
        return f"{self.element}[]" if self.element is not None else self.name


# Domains are followed to their base with a recursion, since a domain may stand on a domain.
COLUMN_TYPES = """
WITH RECURSIVE base(column_key, oid, typmod, kind, next_oid, next_typmod) AS (
    SELECT a.attrelid::int8 * 2000 + a.attnum, t.oid, a.atttypmod, t.typtype, t.typbasetype, t.typtypmod
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY(%(relations)s::oid[])
    UNION ALL
    SELECT b.column_key, t.oid, b.next_typmod, t.typtype, t.typbasetype, t.typtypmod
      FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.next_oid WHERE b.kind = 'd'
)
SELECT a.attrelid::int8 AS relation, a.attnum AS number, a.attname AS name, t.typname AS type, t.typtype::text
AS kind, e.typname AS element, e.typtype::text AS element_kind, e.oid::int8 AS element_oid,
e.typbasetype::int8 AS element_base, b.typmod
AS typmod, a.attgenerated::text AS generated, a.attidentity::text AS identity, a.attnotnull AS not_null,
pg_catalog.format_type(a.atttypid, a.atttypmod) AS declared FROM pg_catalog.pg_attribute a
  JOIN base b ON b.column_key = a.attrelid::int8 * 2000 + a.attnum AND b.kind <> 'd'
  JOIN pg_catalog.pg_type t ON t.oid = b.oid
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
 ORDER BY a.attrelid, a.attnum
"""
"""Each column of the relations in `relations` (oids): its type below all domains, as `from_row` takes it.

https://www.postgresql.org/docs/current/catalog-pg-type.html
"""


def from_row(row: dict[str, Any]) -> PgType:
    """The type that one row of `COLUMN_TYPES` describes."""
    element = None
    if row["element"] is not None:
        element = PgType(row["element"], row["element_kind"], oid=row["element_oid"])
    length = row["typmod"] if row["type"] == "bit" and row["typmod"] > 0 else None
    return PgType(row["type"], row["kind"], element, length)
