"""Sequences, which logical decoding never sends: from the sequence log and the rows that use them."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from replicator.restore.moment.history import Value
from replicator.restore.target.database import Connection

_SEQUENCES = """
SELECT format('%I.%I', n.nspname, c.relname), s.seqincrement, s.seqmin, s.seqmax,
       (SELECT format('%I.%I', tn.nspname, t.relname)
          FROM pg_class t JOIN pg_namespace tn ON tn.oid = t.relnamespace
         WHERE t.oid = d.refobjid),
       (SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
           AND coalesce(nullif(t.typbasetype, 0), t.oid)
               = ANY ('{int2,int4,int8,numeric}'::regtype[]))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
   AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
 WHERE c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%'
   AND n.nspname NOT IN ('replicator', 'replicator_restore')
 ORDER BY 1
"""


def restore(connection: Connection, logged: Mapping[str, Value]) -> dict[str, Value]:
    """Set every sequence and return what it was set to.

    The newest logged value at or before the cut, or the largest value in the column that owns the sequence,
    whichever is further in the sequence's direction. A column that isn't of whole numbers or numeric says
    nothing: 'INV-7' may come of anything. A logged value out of the sequence's bounds was one's that
    had the same name before. A sequence of which nothing is known stays as it was created.
    """
    done = {}
    for name, increment, low, high, table, column in connection.execute(_SEQUENCES).fetchall():
        value = logged.get(name)
        if value is not None and not low <= value.last_value <= high:
            value = None
        used = None
        if column is not None:
            used = _used(connection, table, column, (low, high), up=increment > 0)
        if used is not None and _further(used, value, up=increment > 0):
            value = Value(used, True)
        if value is not None:
            connection.execute(
                "SELECT setval(%s::regclass, %s, %s)", (name, value.last_value, value.is_called)
            )
            done[name] = value
    return done


def _used(
    connection: Connection, table: str, column: str, bounds: tuple[int, int], *, up: bool
) -> int | None:
    """The furthest value within the bounds; outside of them it wasn't the sequence that gave it."""
    query = sql.SQL("SELECT {}({column})::int8 FROM {} WHERE {column} BETWEEN %s AND %s").format(
        sql.SQL("max" if up else "min"), sql.SQL(table), column=sql.Identifier(column)
    )
    row = connection.execute(query, bounds).fetchone()
    return None if row is None else row[0]


def _further(used: int, value: Value | None, *, up: bool) -> bool:
    if value is None:
        return True
    beyond = used > value.last_value if up else used < value.last_value
    return beyond or (used == value.last_value and not value.is_called)
