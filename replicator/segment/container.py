"""The Avro object container file that a segment is.

Source: the Avro specification, "Object Container Files". Everything is a function of the records and their
range, the sync marker included: writing a range again from the same blocks gives the same bytes and so the
same name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from threading import local

from backports.zstd import CompressionParameter, ZstdCompressor

from replicator.segment import schema, varint
from replicator.segment.name import FORMAT, Chain, SegmentName

MAGIC = b"Obj\x01"
CODEC = "zstandard"
LEVEL = 1
_OPTIONS: dict[int, int] = {
    CompressionParameter.compression_level: LEVEL,
    # A match table that fits into a core's first cache, and matches as short as the repeated parts of
    # Debezium's records: a quarter less CPU than level 3, for 77.8 instead of 76.5 bytes a record.
    CompressionParameter.hash_log: 13,
    CompressionParameter.min_match: 5,
}
_compressors = local()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A range of offsets whose records are not in the segment, though it covers them."""

    first: int
    next: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rolled:
    """A segment that was rolled up into this one: its own range, number of records and timestamps, how many
    of the blocks are its own, its size and SHA-256. With the header that they share, its bytes can be made
    again.
    """

    first: int
    next: int
    count: int
    first_timestamp: int | None
    last_timestamp: int | None
    blocks: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself; written as file metadata under `replicator.`.

    `value_schema` and the members of `key_schemas` are (name, text): the registry's id, or `guid:…`, and the
    text. Timestamps are the records' smallest and largest, in ms since 1970, None in a segment without
    records.
    """

    cluster_id: str
    chain: Chain
    first: int
    next: int
    count: int
    value_schema: tuple[str, str] | None
    key_schemas: tuple[tuple[str, str], ...] = ()
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    left_out: tuple[LeftOut, ...] = field(default=())
    discarded: tuple[LeftOut, ...] = field(default=())
    """Ranges of which a person said that nothing in them is missed."""
    rolled: tuple[Rolled, ...] = field(default=())
    """The segments of which this one was made, in order; empty where a sink wrote it."""

    def metadata(self) -> dict[str, str]:
        """The file's metadata, except Avro's own keys; absent facts have no key."""
        entries: dict[str, object] = {
            "format": FORMAT,
            "cluster_id": self.cluster_id,
            "topic": self.chain.topic,
            "topic_id": self.chain.topic_id,
            "partition": self.chain.partition,
            "first": self.first,
            "next": self.next,
            "count": self.count,
            "value_schema_id": self.value_schema[0] if self.value_schema else None,
            "key_schemas": _json([{"id": name, "schema": text} for name, text in self.key_schemas]),
            "first_timestamp": self.first_timestamp,
            "last_timestamp": self.last_timestamp,
            "left_out": _gaps(self.left_out),
            "discarded": _gaps(self.discarded) if self.discarded else None,
            "rolled": _json([list(astuple(each)) for each in self.rolled]) if self.rolled else None,
        }
        return {f"replicator.{name}": str(value) for name, value in entries.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished segment: its name, its bytes, and their SHA-256 in hex."""

    name: SegmentName
    body: bytes
    sha256: str


def compress(block: bytes) -> bytes:
    """One block's records as a zstandard frame of its own, as Avro's codec wants it. Releases the GIL."""
    compressor: ZstdCompressor | None = getattr(_compressors, "one", None)
    if compressor is None:
        compressor = _compressors.one = ZstdCompressor(options=_OPTIONS)
    return compressor.compress(block, ZstdCompressor.FLUSH_FRAME)


def build(header: Header, blocks: Sequence[tuple[int, bytes]]) -> Segment:
    """The segment of these blocks, each (number of records, compressed records)."""
    metadata = {
        "avro.schema": schema.record_schema(header.value_schema[1] if header.value_schema else None),
        "avro.codec": CODEC,
        **header.metadata(),
    }
    start = encode_metadata(metadata)
    sync = hashlib.sha256(start).digest()[:16]
    parts = [MAGIC, start, sync]
    for count, packed in blocks:
        parts += (varint.long(count), varint.long(len(packed)), packed, sync)
    body = b"".join(parts)
    digest = hashlib.sha256(body).hexdigest()
    chain = header.chain
    name = SegmentName(chain.topic, chain.topic_id, chain.partition, header.first, header.next, digest[:16])
    return Segment(name, body, digest)


def encode_metadata(entries: Mapping[str, str]) -> bytes:
    """Avro's encoding of a map from string to bytes."""
    parts = [varint.long(len(entries))]
    for name, value in entries.items():
        parts += (_bytes(name.encode()), _bytes(value.encode()))
    parts.append(b"\x00")
    return b"".join(parts)


def _bytes(value: bytes) -> bytes:
    return varint.long(len(value)) + value


def _gaps(gaps: Iterable[LeftOut]) -> str:
    return _json([{"first": gap.first, "next": gap.next, "reason": gap.reason} for gap in gaps])


def _json(value: Iterable[object]) -> str:
    return json.dumps(list(value), separators=(",", ":"))
