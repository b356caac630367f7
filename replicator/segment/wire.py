"""How a record says which schema wrote it: Confluent's wire format in its published variants.

A payload begins with magic 0 and a four-byte schema id, or with magic 1 and the sixteen bytes of a schema's
GUID; or the record has a header `__key_schema_id` / `__value_schema_id` that holds such a prefix, and the
payload has none.
Source: the schema registry's documentation of its wire format and of schema ids in headers.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

KEY_HEADER = "__key_schema_id"
VALUE_HEADER = "__value_schema_id"
ID_PREFIX = 5
GUID_PREFIX = 17

Headers = Sequence[tuple[str, bytes | None]]


class NotWireFormatError(ValueError):
    """The bytes don't begin like a payload that a registry's serializer wrote."""


def schema_of_prefix(prefix: bytes) -> str:
    """The name of the schema that a whole prefix stands for: `17` for an id, `guid:…` for a GUID."""
    if prefix[0] == 0:
        return str(int.from_bytes(prefix[1:ID_PREFIX], "big"))
    return f"guid:{uuid.UUID(bytes=prefix[1:GUID_PREFIX])}"


def prefix_for(schema_id: int) -> bytes:
    """What a payload begins with whose schema has that id."""
    return b"\x00" + schema_id.to_bytes(ID_PREFIX - 1, "big")


def prefix_of(payload: bytes) -> bytes:
    """The prefix of a payload; `NotWireFormatError` says what is wrong with it otherwise."""
    if not payload:
        raise NotWireFormatError("it is empty, though not null")
    magic = payload[0]
    if magic > 1:
        raise NotWireFormatError(f"its first byte is {magic:#04x}, not a known magic byte (0x00 or 0x01)")
    length = ID_PREFIX if magic == 0 else GUID_PREFIX
    if len(payload) < length:
        raise NotWireFormatError(f"it has {len(payload)} bytes, fewer than the {length} of the prefix")
    return payload[:length]


def locate(payload: bytes, headers: Headers | None, header: str) -> tuple[bytes, int]:
    """The schema's prefix and where the Avro body begins in `payload`, or `NotWireFormatError`."""
    for name, value in headers or ():
        if name == header and value:
            prefix = prefix_of(value)
            if len(prefix) != len(value):
                raise NotWireFormatError(f"its header {header} has bytes after the schema's id")
            return prefix, 0
    prefix = prefix_of(payload)
    return prefix, len(prefix)
