"""Arrow's types and rows as Avro has them, for any Avro reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from replicator.debezium import names


def schema(table: str, arrow: Any) -> dict[str, Any]:
    """The Avro schema of a table's rows: a nullable field per column, `column` naming it where its name isn't
    one that Avro takes.

    Logical types as Avro 1.12 has them, https://avro.apache.org/docs/1.12.0/specification/#logical-types;
    local-timestamp-micros for a timestamp without time zone.
    """
    return {
        "type": "record",
        "name": names.field(table.replace(".", "_")),
        "doc": f"The rows of {table}.",
        "fields": [
            {
                "name": name,
                "type": ["null", _type(field.type)],
                "default": None,
                **({} if name == field.name else {"column": field.name}),
            }
            for name, field in zip(_names(arrow), arrow, strict=True)
        ],
    }


def rows(batch: Any, arrow: Any) -> Iterator[dict[str, Any]]:
    """The batch's rows as fastavro takes them."""
    columns = [_plain(column) for column in batch.columns]
    fields = _names(arrow)
    for values in zip(*columns, strict=True):
        yield dict(zip(fields, values, strict=True))


def _names(arrow: Any) -> list[str]:
    return [names.field(field.name) for field in arrow]


def _type(kind: Any) -> Any:
    if pa.types.is_list(kind):
        return {"type": "array", "items": ["null", _type(kind.value_type)]}
    if pa.types.is_decimal(kind):
        return {
            "type": "bytes",
            "logicalType": "decimal",
            "precision": kind.precision,
            "scale": kind.scale,
        }
    if pa.types.is_timestamp(kind):
        return {
            "type": "long",
            "logicalType": "timestamp-micros" if kind.tz else "local-timestamp-micros",
        }
    if pa.types.is_time(kind):
        return {"type": "long", "logicalType": "time-micros"}
    if pa.types.is_date(kind):
        return {"type": "int", "logicalType": "date"}
    if pa.types.is_integer(kind):
        return "long" if kind.bit_width == 64 else "int"
    if pa.types.is_floating(kind):
        return "double" if kind.bit_width == 64 else "float"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "bytes" if pa.types.is_binary(kind) else "string"


def _plain(column: Any) -> list[Any]:
    """Values as Avro's plain types: times as numbers, which know no last year."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_list(kind):
        inner = _plain(column.flatten())
        taken: list[Any] = []
        at = 0
        for length in column.value_lengths().to_pylist():
            taken.append(None if length is None else inner[at : at + length])
            at += length or 0
        return taken
    return list(column.to_pylist())
