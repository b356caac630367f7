"""Columns of Debezium's values as rows of `COPY … (FORMAT binary)`.

That costs PostgreSQL half of what text does. For the types and values that nearly all rows have; where a type
has no place here, or a value is out of the ordinary, the table goes as text by `replicator.debezium.columns`,
which knows them all.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from replicator.avro.program import Node
from replicator.avro.reader import Columns
from replicator.debezium import array_text
from replicator.debezium import binary_kernel as kernel
from replicator.debezium.pgtypes import PgType

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
_PIECE = 128 * 2**10

_TEXTS = ("text", "varchar", "bpchar", "name", "json", "citext")
_FORMS: dict[str, tuple[int, frozenset[str]]] = {
    **dict.fromkeys(_TEXTS, (kernel.RAW, frozenset(("string",)))),
    "jsonb": (kernel.JSONB, frozenset(("string",))),
    "bytea": (kernel.RAW, frozenset(("bytes",))),
    "uuid": (kernel.UUID, frozenset(("string",))),
    "numeric": (kernel.NUMERIC, frozenset(("string",))),
    "timestamptz": (kernel.MOMENT, frozenset(("string",))),
    "bool": (kernel.BOOL, frozenset(("boolean",))),
    "int2": (kernel.INT2, frozenset(("int", "long"))),
    "int4": (kernel.INT4, frozenset(("int", "long"))),
    "int8": (kernel.INT8, frozenset(("int", "long"))),
    "oid": (kernel.BITS4, frozenset(("int", "long"))),
    "float4": (kernel.BITS4, frozenset(("float",))),
    "float8": (kernel.INT8, frozenset(("double",))),
    "date": (kernel.DATE, frozenset(("int",))),
    "time": (kernel.TIME, frozenset(("long",))),
    "timestamp": (kernel.TIMESTAMP, frozenset(("long",))),
}


_ITEMS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_TEXTS, (array_text.TEXTS, 0)),
    "uuid": (array_text.UUIDS, 0),
    "numeric": (array_text.NUMERICS, 0),
    "bool": (array_text.BOOLEANS, 0),
    "int2": (array_text.INTEGERS, 2),
    "int4": (array_text.INTEGERS, 4),
    "int8": (array_text.INTEGERS, 8),
    "oid": (array_text.UNSIGNED, 4),
}


class NotPlainError(Exception):
    """A type or a value that this module has no binary form for; the table has to go as text."""


@dataclass(frozen=True, slots=True)
class Constant:
    """What a column has in rows that are older than it: PostgreSQL's binary form, or None for NULL."""

    value: bytes | None


class RowWriter:
    """Makes rows of columns, always in the same memory.

    `columns` are, in the table's order, a type and either the node of the row's field or a constant.
    `NotPlainError` when one has no binary form.
    """

    def __init__(self, columns: Sequence[tuple[PgType, Node | Constant]]) -> None:
        forms = []
        constants = b""
        for pg_type, given in columns:
            if isinstance(given, Constant):
                size = -1 if given.value is None else len(given.value)
                forms.append((kernel.CONSTANT, len(constants), size, 0, 0))
                constants += given.value or b""
            else:
                forms.append(_form(pg_type, given))
        self._forms = np.array(forms, np.int64).reshape(-1, 5)
        self._constants = np.frombuffer(constants, np.uint8)
        self._out = np.empty(_PIECE, np.uint8)

    def write(self, columns: Columns, rows: Any) -> Iterator[bytes]:
        """The rows with these numbers, some hundred KiB at a time.

        `NotPlainError` at a value that has no binary form here; what was given before is of no use then.
        """
        at = 0
        while at < len(rows):
            status, done, size = kernel.write(
                columns.data,
                columns.numbers,
                columns.lengths,
                columns.numbers.shape[1],
                rows,
                at,
                self._forms,
                self._constants,
                self._out,
                len(self._out),
            )
            if status == kernel.NOT_PLAIN:
                raise NotPlainError
            if size:
                yield self._out[:size].tobytes()
            elif status == kernel.FULL:
                self._out = np.empty(2 * len(self._out), np.uint8)
            at = done


def _form(pg_type: PgType, node: Node) -> tuple[int, int, int, int, int]:
    """What the kernel has to know of a column: form, column, and of an array form, column and type."""
    element = pg_type.element
    if element is None:
        return (_simple(pg_type, node), node.column, 0, 0, 0)
    if element.oid is None:
        raise NotPlainError
    if node.kind == "string":  # PostgreSQL's own text, by our own converter
        items, size = _items(element)
        return (kernel.ARRAY_TEXT, node.column, items, size, element.oid)
    if node.kind != "array":
        raise NotPlainError
    item = node.children["item"]
    return (kernel.ARRAY, node.column, _simple(element, item), item.column, element.oid)


def _items(element: PgType) -> tuple[int, int]:
    """What the items of an array's text are, and the bytes of an integer."""
    if element.kind == "e":
        return array_text.TEXTS, 0
    if element.kind != "b" or element.name not in _ITEMS:
        raise NotPlainError
    return _ITEMS[element.name]


def _simple(pg_type: PgType, node: Node) -> int:
    if pg_type.kind == "e" and node.kind == "string":
        return kernel.RAW
    form, kinds = _FORMS.get(pg_type.name, (-1, frozenset[str]()))
    if pg_type.kind != "b" or pg_type.element is not None or node.kind not in kinds:
        raise NotPlainError
    return form
