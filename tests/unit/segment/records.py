"""Records as a registry's serializer would have written them."""

from __future__ import annotations

import json
from io import BytesIO

import fastavro

from replicator.segment.splice import Columns

VALUE_SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Value",
        "namespace": "shop.public.guests",
        "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}],
    },
    separators=(",", ":"),
)
KEY_SCHEMA = '{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}'


def prefix(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big")


def encode(schema: str, datum: object) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema)), datum)
    return out.getvalue()


def value(number: int, name: str | None = "Ada", schema_id: int = 7) -> bytes:
    return prefix(schema_id) + encode(VALUE_SCHEMA, {"id": number, "name": name})


def key(number: int, schema_id: int = 3) -> bytes:
    return prefix(schema_id) + encode(KEY_SCHEMA, {"id": number})


def columns(
    offsets: list[int] | range,
    *,
    values: list[bytes | None] | None = None,
    keys: list[bytes | None] | None = None,
    headers: list[list[tuple[str, bytes | None]] | None] | None = None,
    timestamps: list[int] | None = None,
) -> Columns:
    count = len(offsets)
    return Columns(
        offsets=offsets,
        timestamps=timestamps or [1_760_000_000_000 + i // 3 for i in range(count)],
        keys=keys if keys is not None else [key(i) for i in offsets],
        values=values if values is not None else [value(i) for i in offsets],
        headers=headers or [None] * count,
    )
