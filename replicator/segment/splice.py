"""Kafka records put into Avro records by splicing: the value's bytes are copied, never decoded.

Record by record, whatever they hold. The sink does it here only with records that differ from those around
them; all others go through the machine code of `replicator.fetch.kernel`, with the same result.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from replicator.segment import varint, wire

_HAS_KEY = b"\x02"
_NO_KEY = b"\x00"
_NULL = b"\x00"
_HAS_VALUE = b"\x02"
_NO_HEADERS = b"\x00"


@dataclass(frozen=True, slots=True)
class Run:
    """Encoded records that may share a segment: one value schema, in offset order.

    `value_schema` is None when every value is null. Each key schema comes with the first offset that uses it.
    Timestamps are the smallest and the largest.
    """

    encoded: bytes
    count: int
    first_offset: int
    last_offset: int
    min_timestamp: int
    max_timestamp: int
    value_schema: str | None
    key_schemas: tuple[tuple[str, int], ...]


class Records(Protocol):
    """Consecutive records of one partition, in offset order."""

    @property
    def count(self) -> int:
        """How many they are; may be 0."""
        ...

    @property
    def first(self) -> int:
        """The first one's offset."""
        ...

    @property
    def last(self) -> int:
        """The last one's offset."""
        ...

    def split(self, offset: int) -> tuple[Records, Records]:
        """The records before that offset, and those from it on."""
        ...

    def run(self) -> Run | None:
        """All of them as one run, if that can be had at once: they share their schemas, have values and no
        headers."""
        ...

    def columns(self) -> Columns:
        """All of them, record by record."""
        ...


@dataclass(frozen=True, slots=True)
class Columns:
    """Consecutive records of one topic-partition, in offset order. Timestamps are milliseconds since 1970."""

    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Sequence[tuple[str, bytes | None]] | None]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.offsets)

    @property
    def first(self) -> int:
        """The first one's offset."""
        return self.offsets[0]

    @property
    def last(self) -> int:
        """The last one's offset."""
        return self.offsets[-1]

    def run(self) -> Run | None:
        """None: they are Python's objects already, and have to be looked at one by one."""
        return None

    def columns(self) -> Columns:
        """These."""
        return self

    def split(self, offset: int) -> tuple[Columns, Columns]:
        """The records before that offset, and those from it on."""
        cut = bisect_left(self.offsets, offset)
        return self._part(slice(cut)), self._part(slice(cut, None))

    def _part(self, part: slice) -> Columns:
        return Columns(
            self.offsets[part], self.timestamps[part], self.keys[part], self.values[part], self.headers[part]
        )


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that can't be put into a segment, and why."""

    offset: int
    reason: str


class _Builder:
    """One run in the making, record by record."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.value_prefix: bytes | None = None
        self.key_prefixes: dict[bytes, int] = {}

    def run(self) -> Run:
        return Run(
            encoded=b"".join(self.parts),
            count=len(self.offsets),
            first_offset=self.offsets[0],
            last_offset=self.offsets[-1],
            min_timestamp=min(self.timestamps),
            max_timestamp=max(self.timestamps),
            value_schema=None if self.value_prefix is None else wire.schema_of_prefix(self.value_prefix),
            key_schemas=tuple(
                (wire.schema_of_prefix(prefix), first) for prefix, first in self.key_prefixes.items()
            ),
        )


def splice(columns: Columns) -> tuple[list[Run], Poison | None]:
    """The records as runs, up to the first that isn't in wire format, which is returned beside them.

    Null values join the run around them. Raises nothing: what a record holds is an answer, not an error.
    """
    if not columns.offsets:
        return [], None
    runs: list[Run] = []
    builder = _Builder()
    for offset, timestamp, key, value, headers in zip(
        columns.offsets, columns.timestamps, columns.keys, columns.values, columns.headers, strict=True
    ):
        key_prefix = value_prefix = None
        body = 0
        what = "key"
        try:
            if key is not None:
                key_prefix, _ = wire.locate(key, headers, wire.KEY_HEADER)
            what = "value"
            if value is not None:
                value_prefix, body = wire.locate(value, headers, wire.VALUE_HEADER)
        except wire.NotWireFormatError as error:
            if builder.offsets:
                runs.append(builder.run())
            return runs, Poison(offset, f"its {what} is not in the registry's wire format: {error}")
        if value_prefix is not None and value_prefix != builder.value_prefix:
            if builder.value_prefix is not None:
                runs.append(builder.run())
                builder = _Builder()
            builder.value_prefix = value_prefix
        if key_prefix is not None and key_prefix not in builder.key_prefixes:
            builder.key_prefixes[key_prefix] = offset
        builder.offsets.append(offset)
        builder.timestamps.append(timestamp)
        builder.parts += (
            varint.long(offset),
            varint.long(timestamp),
            _NO_KEY if key is None else _HAS_KEY + varint.long(len(key)) + key,
            _encode_headers(headers) if headers else _NO_HEADERS,
            _NULL if value is None else _HAS_VALUE,
            b"" if value is None else value[body:],
        )
    runs.append(builder.run())
    return runs, None


def _encode_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    parts = [varint.long(len(headers))]
    for name, value in headers:
        text = name.encode()
        parts += (varint.long(len(text)), text)
        parts += (_NULL,) if value is None else (b"\x02", varint.long(len(value)), bytes(value))
    parts.append(b"\x00")
    return b"".join(parts)
