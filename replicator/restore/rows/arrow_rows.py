"""The rows of a table as Arrow, typed as PostgreSQL's types sensibly are.

The same pass over the records that fills a database: what would go into COPY is cast, never decoded again. A
type that Arrow hasn't is PostgreSQL's text; so is a column that is asked for `as_text`. A value that the
column's Arrow type can't hold (infinity in a date, NaN in a decimal) refuses the column by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute

from replicator.debezium.pgtypes import PgType
from replicator.errors import RefusedError
from replicator.restore.rows import text_rows
from replicator.restore.rows.declared import Declared, DeclaredTable
from replicator.restore.rows.surviving import Rows

# The published stubs know fewer argument types than the functions take.
pc: Any = pyarrow.compute

_SCALARS: dict[str, Any] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "bytea": pa.binary(),
}
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', re.DOTALL)
_DIGITS = 76


def schema(table: DeclaredTable, as_text: Collection[str] = ()) -> Any:
    """The Arrow schema of the table's rows; any column may be null, whatever the table's constraints say."""
    return pa.schema([(column.name, _type(column, as_text)) for column in table.stored])


def batches(rows: Rows, table: DeclaredTable, as_text: Collection[str] = ()) -> Iterator[Any]:
    """The rows as record batches of `schema`; they are counted as they pass.

    Raises what `text_rows.batches` does, and `RefusedError` for a value that isn't one of its Arrow type.
    """
    wanted = schema(table, as_text)
    if rows.removed_apart:
        raise RefusedError(
            f"{table.table.collection} has no key and a column younger than its rows: which rows were taken "
            "away only PostgreSQL can tell.",
            next_step="restore the table into a PostgreSQL, and read it there",
        )
    for batch in text_rows.batches(rows):
        columns = [
            _cast(table, column, encoded) for column, encoded in zip(wanted, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=wanted)


def _type(column: Declared, as_text: Collection[str]) -> Any:
    if column.name in as_text:
        return pa.string()
    element = column.type.element
    if element is not None:
        return pa.list_(_scalar(element, column.numeric))
    return _scalar(column.type, column.numeric)


def _scalar(pg_type: PgType, numeric: tuple[int, int] | None) -> Any:
    if pg_type.kind != "b":
        return pa.string()
    if pg_type.name == "numeric" and numeric is not None:
        precision, scale = numeric
        if 0 <= scale <= precision <= _DIGITS:
            return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return _SCALARS.get(pg_type.name, pa.string())


def _cast(table: DeclaredTable, field: Any, column: Any) -> Any:
    try:
        return typed(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        why = str(error).split("\n", 1)[0][:200]
        raise RefusedError(
            f"{table.table.collection}.{field.name} has a value that Arrow's {field.type} doesn't hold: "
            f"{why}.",
            next_step=f"read the column as PostgreSQL's text: as_text={field.name!r}, --as-text {field.name}",
        ) from None


def typed(column: Any, wanted: Any) -> Any:
    """A column as `text_rows` gives it, in its Arrow type; an error of Arrow's, or `ValueError`, for a value
    that the type can't hold.
    """
    if pa.types.is_list(wanted):
        return _lists(column, wanted)
    if pa.types.is_binary(wanted) and pa.types.is_string(column.type):
        texts = column.to_pylist()
        return pa.array([None if text is None else bytes.fromhex(text[2:]) for text in texts], wanted)
    if pa.types.is_time(wanted) and pa.types.is_string(column.type):
        moments = pc.binary_join_element_wise("1970-01-01", column, " ")
        return moments.cast(pa.timestamp("us")).cast(wanted)
    if pa.types.is_boolean(wanted) and pa.types.is_string(column.type):
        # A stored constant is as PostgreSQL prints it.
        column = pc.replace_with_mask(column, pc.equal(column, "t"), pa.scalar("true"))
        column = pc.replace_with_mask(column, pc.equal(column, "f"), pa.scalar("false"))
    return column.cast(wanted)


def _lists(column: Any, wanted: Any) -> Any:
    """Array literals as lists; https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    items: list[str | None] = []
    ends: list[int | None] = [0]
    for text in column.to_pylist():
        if text is not None:
            items += _items(text)
        ends.append(len(items))
    missing = [text is None for text in column.to_pylist()]
    # A NULL list is one whose beginning is null.
    offsets = pa.array(
        [None if gone else end for gone, end in zip([*missing, False], ends, strict=True)], pa.int32()
    )
    return pa.ListArray.from_arrays(offsets, typed(pa.array(items, pa.string()), wanted.value_type))


def _items(text: str) -> list[str | None]:
    inner = text[1:-1]
    if not text.startswith("{") or "{" in _ITEM.sub("", inner):
        raise ValueError(f"{text[:80]} has lower bounds of its own, or a second dimension")
    return [
        re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)
        if match[1] is not None
        else None
        if match[2] == "NULL"
        else match[2]
        for match in _ITEM.finditer(inner)
    ]
