"""The types that Debezium read a row's values as: schemas name them (`column.propagate.source.type`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache


@lru_cache(maxsize=512)
def read_as(value_schema: str) -> Mapping[str, str]:
    """By Avro field of a table's row: the type that Debezium read its values as, where the schema says it.

    `value_schema` is the JSON of a change event's schema; nothing for any other schema.
    """
    schema = json.loads(value_schema)
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    before = next((each["type"] for each in fields if each["name"] == "before"), ())
    rows = [branch for branch in before if isinstance(branch, dict)]
    found = {}
    for field in (field for row in rows for field in row.get("fields", ())):
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        for branch in (each for each in branches if isinstance(each, dict)):
            named = branch.get("connect.parameters", {}).get("__debezium.source.column.type")
            if named is not None:
                found[field["name"]] = named.lower()
    return found
