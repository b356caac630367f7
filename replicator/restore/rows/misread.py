"""Whether Debezium read a column's values as the type that it had when they were written, and NULLs as NULL.

Debezium 3.7 without the class of ours that mends it (`0-replicator-stream-types.jar`) asks the catalogue of
the day for a table's column types, by name, and reads the values of the stream as what it is told. A type
that is changed behind the rows, or changed again before Debezium gets there, makes `true` of a text `false`,
or stops the connector. The schema of each record names the type that values were read as. So it is with NOT
NULL: what could be NULL when it was written, and is required in the record's schema, may have been one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from replicator.debezium.pgtypes import PgType

_SERIAL = {"serial": "int4", "bigserial": "int8", "smallserial": "int2"}
"""How JDBC calls the type of a column whose default is a sequence's next value."""
_ALIKE = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), "text"),
    **dict.fromkeys(("int2", "int4", "int8"), "int"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}
"""Types whose values are read alike, or so that an error stops the connector."""
_BASE = (
    *(
        "bool",
        "bytea",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "money",
        "oid",
        "text",
        "varchar",
    ),
    *(
        "bpchar",
        "name",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "interval",
        "uuid",
        "json",
        "jsonb",
    ),
    *(
        "xml",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "bit",
        "varbit",
        "point",
        "lseg",
        "box",
        "path",
        "polygon",
    ),
    *("line", "circle", "tsvector", "tsquery", "pg_lsn", "int4range", "int8range", "numrange", "tsrange"),
    *("tstzrange", "daterange"),
)
_KNOWN = frozenset((*_BASE, *(f"_{name}" for name in _BASE)))


def is_misread(declared: PgType, read_as: str) -> bool:
    """Whether values of a column of that type may have been changed by being read as another one.

    Types of a user's own, and those of extensions, have no name that would say what they are; a value of
    theirs is text to Debezium, and one that is read as something else stops the connector.
    """
    read = _SERIAL.get(read_as, read_as)
    if declared.name not in _KNOWN or read not in _KNOWN:
        return False
    return _ALIKE.get(declared.name, declared.name) != _ALIKE.get(read, read)


def within(lsns: Any, states: Sequence[tuple[int, frozenset[str]]], column: str) -> Any:
    """For each LSN whether the column was among those of the last state before it; before all: of the first.

    `states` are in order, each with the position after which it held.
    """
    begins = np.array([begin for begin, _ in states], np.int64)
    among = np.array([column in columns for _, columns in states], bool)
    return among[np.maximum(np.searchsorted(begins, lsns, side="left") - 1, 0)]
