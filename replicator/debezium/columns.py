"""Whole Arrow columns of Debezium's values made into what `COPY … (FORMAT csv)` reads back exactly.

The fast way for what nearly all rows hold; a column with a value out of the ordinary (a date BC, a year of
five digits, infinity, 24:00) goes value by value through `replicator.debezium.values`, the one table of
conversions.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute

from replicator.debezium.pgtypes import PgType
from replicator.debezium.values import PLACEHOLDER, ValueRefusedError, conversion, to_text

# The published stubs know fewer argument types than the functions take.
pc: Any = pyarrow.compute
Column: TypeAlias = Any
"""An Arrow array."""

_DAYS_OF_FOUR_DIGIT_YEARS = (-719_162, 2_932_896)
_MICROS_OF_FOUR_DIGIT_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_MICROS_OF_A_DAY = (0, 86_399_999_999)
# Text between these begins with a year of four digits, 0000 (which is 1 BC) excepted: a longer year has a
# sign in
# front, and signs and letters sort outside.
_PLAIN_MOMENTS = ("0001", ":")
_NUMERIC_NAME = r"^(NAN|POSITIVE_INFINITY|NEGATIVE_INFINITY)$"


def encode(column: Column, pg_type: PgType, *, exact: bool = False) -> Column:
    """The column in a type that Arrow's CSV writer prints as PostgreSQL's input text; NULL stays null.

    `exact` is for fields that our own converter wrote (`replicator.debezium.exact`). Raises
    `ValueRefusedError` for a type or a value that can't be read back exactly.
    """
    rule = conversion(pg_type, exact=exact)
    if rule.refusal is not None:
        raise ValueRefusedError(rule.refusal)
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    if exact and _is_string(column.type):
        return _without_placeholder(_utf8(column))
    if pg_type.element is not None:
        return _array(column, pg_type.element)
    arrow = column.type
    match pg_type.name if pg_type.kind == "b" else "":
        case "bool" if pa.types.is_boolean(arrow):
            return column
        case "int2" | "int4" | "int8" | "oid" if pa.types.is_integer(arrow):
            return column
        case "float4" | "float8" if pa.types.is_floating(arrow):
            return column
        case "date" if pa.types.is_int32(arrow) and _within(column, _DAYS_OF_FOUR_DIGIT_YEARS):
            return column.cast(pa.date32())
        case "timestamp" if pa.types.is_int64(arrow) and _within(column, _MICROS_OF_FOUR_DIGIT_YEARS):
            return column.cast(pa.timestamp("us"))
        case "time" if pa.types.is_int64(arrow) and _within(column, _MICROS_OF_A_DAY):
            return column.cast(pa.time64("us"))
        case "timestamptz" if _is_string(arrow) and _within(column, _PLAIN_MOMENTS):
            return column
        case "numeric" | "money" if _is_string(arrow):
            if not _any(pc.match_substring_regex(column, _NUMERIC_NAME)):
                return _without_placeholder(column)
        case "bytea" if pa.types.is_binary(arrow):
            return _hex(column)
        case _ if _is_verbatim(pg_type) and (_is_string(arrow) or pa.types.is_binary(arrow)):
            return _without_placeholder(_utf8(column))
        case _:
            pass
    return pa.array([to_text(value, pg_type, exact=exact) for value in column.to_pylist()], pa.string())


def encode_text(column: Column, pg_type: PgType) -> Column:
    """As `encode`, always as strings: for the elements of arrays and for comparing whole rows."""
    encoded = encode(column, pg_type)
    return encoded if pa.types.is_string(encoded.type) else encoded.cast(pa.string())


def _is_verbatim(pg_type: PgType) -> bool:
    special = ("bool", "int2", "int4", "int8", "oid", "float4", "float8", "date", "timestamp", "time")
    others = ("timestamptz", "numeric", "money", "bytea", "hstore", "point", "bit")
    return pg_type.kind != "b" or pg_type.name not in special + others


def _is_string(arrow: pa.DataType) -> bool:
    return pa.types.is_string(arrow) or pa.types.is_string_view(arrow) or pa.types.is_large_string(arrow)


def _utf8(column: Column) -> Column:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _within(column: Column, bounds: tuple[Any, Any]) -> bool:
    seen = pc.min_max(column).as_py()
    return bool(bounds[0] <= seen["min"] and seen["max"] <= bounds[1])


def _any(mask: Column) -> bool:
    return pc.any(mask, min_count=0).as_py() is True


def _without_placeholder(column: Column) -> Column:
    if _any(pc.equal(column, PLACEHOLDER)):
        raise ValueRefusedError("an unchanged TOAST value that the record doesn't hold")
    return column


def _hex(column: Column) -> Column:
    if _any(pc.equal(column, PLACEHOLDER.encode())):
        raise ValueRefusedError("an unchanged TOAST value that the record doesn't hold")
    plain = column.cast(pa.large_binary())
    _, offsets_buffer, data = plain.buffers()
    offsets = pa.Array.from_buffers(pa.int64(), len(plain) + 1, [None, offsets_buffer], offset=plain.offset)
    first, last = offsets[0].as_py(), offsets[len(plain)].as_py()
    digits = b"" if data is None else data.slice(first, last - first).to_pybytes().hex().encode()
    doubled = pc.multiply(pc.subtract(offsets, first), 2)
    text = pa.LargeStringArray.from_buffers(len(plain), doubled.buffers()[1], pa.py_buffer(digits))
    prefixed = pc.binary_join_element_wise(
        pa.scalar("\\x", pa.large_string()), text, pa.scalar("", pa.large_string())
    )
    masked = pc.if_else(pc.is_valid(column), prefixed, pa.scalar(None, pa.large_string()))
    return masked.cast(pa.string())


def _array(column: Column, element: PgType) -> Column:
    """PostgreSQL's array literals; https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise ValueRefusedError(f"an array was expected, not {column.type}")
    flat = column.flatten()
    items = encode_text(flat, element) if len(flat) else pa.array([], pa.string())
    if element.name not in ("int2", "int4", "int8", "oid", "bool", "numeric"):
        escaped = pc.replace_substring(pc.replace_substring(items, "\\", "\\\\"), '"', '\\"')
        items = pc.binary_join_element_wise('"', escaped, '"', "")
    items = pc.fill_null(items, "NULL")
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths.cast(pa.int32()))])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), ",")
    literal = pc.binary_join_element_wise("{", joined, "}", "")
    return pc.if_else(pc.is_valid(column), literal, pa.scalar(None, pa.string()))
