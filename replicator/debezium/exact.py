"""Fields that our own converter in Debezium wrote (`source.exact_values`): their schemas say so."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

CONVERTER_CLASS = "replicator.connect.ExactValueConverter"
_PARAMETER = "replicator.exact"


@lru_cache(maxsize=512)
def row_fields(value_schema: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The Avro fields of a table's row in their order, and those of them that our converter wrote.

    `value_schema` is the JSON of a change event's schema; nothing for any other schema.
    """
    schema = json.loads(value_schema)
    if not isinstance(schema, dict):
        return (), frozenset()
    for field in schema.get("fields", ()):
        if field["name"] == "before" and isinstance(field["type"], list):
            for branch in field["type"]:
                if isinstance(branch, dict):
                    row = branch.get("fields", ())
                    exact = frozenset(each["name"] for each in row if _is_exact(each["type"]))
                    return tuple(each["name"] for each in row), exact
    return (), frozenset()


def _is_exact(avro_type: Any) -> bool:
    branches = avro_type if isinstance(avro_type, list) else [avro_type]
    return any(
        isinstance(branch, dict) and _PARAMETER in branch.get("connect.parameters", {}) for branch in branches
    )
