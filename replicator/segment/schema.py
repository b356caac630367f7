"""The Avro schema of a segment: our record around the registry's own schema."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import fastavro

_WRAPPER = "replicator.segment.Union"


@cache
def _change_record() -> str:
    return (resources.files("schemas") / "change_record.avsc").read_text()


def record_schema(value_schema: str | None) -> str:
    """The text of the schema whose `value` is null or a `value_schema` (the registry's text).

    None, for a segment without any value, leaves `value` a null. A value schema that is itself a union can't
    stand inside another union: it becomes the one field of a record, which adds nothing to the encoding.
    A named type without a namespace is told that it has none: inside our record it would get ours, where its
    name may be taken.
    """
    record = json.loads(_change_record())
    if value_schema is not None:
        inner: Any = json.loads(value_schema)
        if isinstance(inner, list):
            inner = {"type": "record", "name": _WRAPPER, "fields": [{"name": "value", "type": inner}]}
        elif inner in ("null", {"type": "null"}):
            inner = {"type": "record", "name": _WRAPPER, "fields": [{"name": "value", "type": "null"}]}
        elif isinstance(inner, dict) and "." not in inner.get("name", "."):
            inner.setdefault("namespace", "")
        record["fields"][-1]["type"] = ["null", inner]
    return json.dumps(record, separators=(",", ":"))


def refusal(value_schema: str) -> str | None:
    """Why no segment can carry values of that schema, in the parser's words; None if one can."""
    try:
        fastavro.parse_schema(json.loads(record_schema(value_schema)))
    except Exception as error:  # noqa: BLE001  # at a schema that is none, the parser raises anything
        return f"{type(error).__name__}: {error}"
    return None


def value_schema_of(record: dict[str, Any]) -> Any:
    """The registry's schema inside a segment's schema, as JSON; None when the segment has no values."""
    branches = record["fields"][-1]["type"]
    if len(branches) == 1:
        return None
    inner = branches[1]
    if isinstance(inner, dict) and inner.get("name") == _WRAPPER:
        return inner["fields"][0]["type"]
    return inner
