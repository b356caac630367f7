"""As what Debezium read a row's values: schemas name the types (`column.propagate.source.type`), and which
columns it took for NOT NULL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=512)
def read_as(value_schema: str) -> Mapping[str, str]:
    """By Avro field of a table's row: the type that Debezium read its values as, where the schema says it.

    `value_schema` is the JSON of a change event's schema; nothing for any other schema.
    """
    found = {}
    for field in _row_fields(value_schema):
        for branch in (each for each in _branches(field) if isinstance(each, dict)):
            named = branch.get("connect.parameters", {}).get("__debezium.source.column.type")
            if named is not None:
                found[field["name"]] = named.lower()
    return found


@lru_cache(maxsize=512)
def required(value_schema: str) -> frozenset[str]:
    """The Avro fields of a table's row that can't be NULL; `value_schema` as above."""
    return frozenset(each["name"] for each in _row_fields(value_schema) if "null" not in _branches(each))


def _row_fields(value_schema: str) -> Iterator[Any]:
    schema = json.loads(value_schema)
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    before = next((each["type"] for each in fields if each["name"] == "before"), ())
    for row in (branch for branch in before if isinstance(branch, dict)):
        yield from row.get("fields", ())


def _branches(field: Any) -> list[Any]:
    return field["type"] if isinstance(field["type"], list) else [field["type"]]
