"""Reading a segment back: what it says of itself, its records, and whether it is what its name says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import fastavro
from backports.zstd import ZstdError, decompress
from fastavro.schema import SchemaParseException

from replicator.errors import IntegrityError
from replicator.segment import schema, varint
from replicator.segment.container import MAGIC, Header, LeftOut, Rolled
from replicator.segment.name import FORMAT, Chain, SegmentName


@dataclass(frozen=True, slots=True)
class Opened:
    """A segment's header, the schema text of its records, and where its first block begins (bytes)."""

    header: Header
    record_schema: str
    blocks_at: int
    sync: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a segment: how many records, and their compressed bytes."""

    count: int
    data: bytes | memoryview


class TruncatedError(IntegrityError):
    """The bytes end inside the header or a block: more of the object has to be read, or it is damaged."""


def open_header(data: bytes, where: str = "the segment") -> Opened:
    """The header at the beginning of `data`, which may be only the first part of an object.

    `TruncatedError` if the header isn't whole, `IntegrityError` if this is no segment of a known format; both
    name `where`.
    """
    try:
        return _open_header(data, where)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, varint.NumberError) as error:
        raise IntegrityError(
            f"{where} lacks metadata or has it damaged: {type(error).__name__}: {error}",
            next_step="read the object from another destination; this copy is altered",
        ) from None
    except IndexError:
        raise TruncatedError(
            f"{where} ends inside its header, after {len(data)} bytes.",
            next_step="read the object from another destination; this copy is not whole",
        ) from None


def _open_header(data: bytes, where: str) -> Opened:
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise IntegrityError(f"{where} is no Avro file: it begins with {data[:4]!r}.")
    at = len(MAGIC)
    entries: dict[str, bytes] = {}
    while True:
        count, at = varint.read_long(data, at)
        if count == 0:
            break
        if count < 0:
            _, at = varint.read_long(data, at)
        for _ in range(abs(count)):
            name, at = _read_bytes(data, at)
            entries[name.decode()], at = _read_bytes(data, at)
    sync = data[at : at + 16]
    if len(sync) < 16:
        raise IndexError
    meta = {name[11:]: value.decode() for name, value in entries.items() if name.startswith("replicator.")}
    if meta.get("format") != str(FORMAT):
        raise IntegrityError(
            f"{where} is not a segment of format {FORMAT} (it says {meta.get('format')!r}).",
            next_step="a newer format needs a newer replicator",
        )
    record_schema = _record_schema(entries["avro.schema"])
    try:
        header = _header(meta, record_schema)
    except IndexError as error:
        raise ValueError(f"its schema or ranges: {error}") from None
    return Opened(header, record_schema, at + 16, sync)


# The segments of a chain nearly all have the same schemas and leave out nothing: of thousands it shows.
@lru_cache(maxsize=512)
def _record_schema(text: bytes) -> str:
    return text.decode()


@lru_cache(maxsize=512)
def _key_schemas(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((each["id"], each["schema"]) for each in json.loads(text))


@lru_cache(maxsize=512)
def _value_schema(record_schema: str) -> str:
    """The text of the value's schema."""
    return json.dumps(schema.value_schema_of(json.loads(record_schema)), separators=(",", ":"))


def _header(meta: dict[str, str], record_schema: str) -> Header:
    value_id = meta.get("value_schema_id")
    first_timestamp, last_timestamp = meta.get("first_timestamp"), meta.get("last_timestamp")
    return Header(
        cluster_id=meta["cluster_id"],
        chain=Chain(meta["topic"], meta["topic_id"], int(meta["partition"])),
        first=int(meta["first"]),
        next=int(meta["next"]),
        count=int(meta["count"]),
        value_schema=None if value_id is None else (value_id, _value_schema(record_schema)),
        key_schemas=_key_schemas(meta["key_schemas"]),
        first_timestamp=None if first_timestamp is None else int(first_timestamp),
        last_timestamp=None if last_timestamp is None else int(last_timestamp),
        left_out=_gaps(meta["left_out"]),
        discarded=_gaps(meta.get("discarded", "[]")),
        rolled=tuple(Rolled(*each) for each in json.loads(meta.get("rolled", "[]"))),
    )


@lru_cache(maxsize=512)
def _gaps(text: str) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(gap["first"], gap["next"], gap["reason"]) for gap in json.loads(text))


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = (
        varint.read_long(data, at) if data[at] > 0x7F else ((data[at] >> 1) ^ -(data[at] & 1), at + 1)
    )
    if length < 0:
        raise ValueError(f"a length of {length} before byte {at}")
    if at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length


def blocks(body: bytes, opened: Opened, where: str = "the segment") -> Iterator[Block]:
    """The blocks of a whole segment, their frames checked; nothing is decompressed.

    `TruncatedError` if the bytes end inside a block, `IntegrityError` if what stands between two blocks isn't
    a frame; both name `where`.
    """
    at = opened.blocks_at
    view = memoryview(body)
    while at < len(body):
        try:
            count, start = varint.read_long(body, at)
            length, start = varint.read_long(body, start)
            if length < 0:
                raise ValueError(f"a length of {length}")
            end = start + length
            if end > len(body):
                raise IndexError
        except IndexError:
            raise TruncatedError(
                f"{where} ends inside a block, after {len(body)} bytes.",
                next_step="read the object from another destination; this copy is not whole",
            ) from None
        except (ValueError, varint.NumberError) as error:
            raise IntegrityError(f"{where} has a damaged block at byte {at}: {error}") from None
        sync = body[end : end + 16]
        if sync != opened.sync:
            if len(sync) < 16 and opened.sync.startswith(sync):
                raise TruncatedError(
                    f"{where} ends inside the mark after a block, after {len(body)} bytes.",
                    next_step="read the object from another destination; this copy is not whole",
                )
            raise IntegrityError(f"{where} has a block before byte {end} that doesn't end where it should.")
        if count < 0:
            raise IntegrityError(f"{where} has a block at byte {at} of {count} records.")
        yield Block(count, view[start:end])
        at = end + 16


def records(body: bytes) -> Iterator[dict[str, Any]]:
    """The records of a whole segment, decoded; for tests and repairs, not for speed."""
    reader = fastavro.reader(BytesIO(body))
    for record in reader:
        if not isinstance(record, dict):
            raise IntegrityError("a segment holds records, and this file holds something else")
        yield record


def _plain_records(body: bytes, where: str) -> Iterator[dict[str, Any]]:
    """The records without their logical types: a time that Python's calendar lacks is still what was sent."""
    try:
        opened = open_header(body, where)
        parsed = fastavro.parse_schema(physical(json.loads(opened.record_schema)))
        for packed in blocks(body, opened, where):
            block = BytesIO(decompress(packed.data))
            for _ in range(packed.count):
                yield fastavro.schemaless_reader(block, parsed, None)  # type: ignore[misc]
            if block.read(1):
                raise IntegrityError(f"{where} has a block with more bytes than its {packed.count} records.")
    except (ValueError, LookupError, TypeError, EOFError, ZstdError, SchemaParseException) as error:
        raise IntegrityError(f"{where} can't be decoded: {type(error).__name__}: {error}") from None


def physical(type_: Any) -> Any:
    """The schema without logical types, so that what is decoded is what was sent."""
    if isinstance(type_, list):
        return [physical(each) for each in type_]
    if isinstance(type_, dict):
        return {name: physical(each) for name, each in type_.items() if name != "logicalType"}
    return type_


def check(name: SegmentName, body: bytes) -> Header:
    """The header of a whole segment whose bytes, range and count are what its name and header say.

    `IntegrityError` says which of them isn't. Reads everything: this is deep verification.
    """
    where = name.key()
    digest = hashlib.sha256(body).hexdigest()
    if digest[:16] != name.sha256_16:
        raise IntegrityError(
            f"{where} holds bytes whose SHA-256 begins with {digest[:16]}, not with what its name says.",
            next_step="read the range from another destination, or from Kafka while it still has it",
        )
    header = open_header(body, where).header
    if (header.chain, header.first, header.next) != (name.chain, name.first, name.next):
        raise IntegrityError(
            f"{where} says of itself that it is {header.chain} {header.first}-{header.next}."
        )
    count = 0
    last = name.first - 1
    for record in _plain_records(body, where):
        if not last < record["offset"] < name.next:
            raise IntegrityError(f"{where} has offset {record['offset']} after {last}, outside its order.")
        last = record["offset"]
        count += 1
    if count != header.count:
        raise IntegrityError(f"{where} holds {count} records and says {header.count}.")
    return header
