"""The records of a range as bytes, however a destination cut them into segments.

A record's bytes in a segment don't depend on where the segment begins or ends, so two destinations hold the
same records exactly if these streams are equal. Nothing is decoded but at the two ends of the range.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import fastavro
from backports.zstd import ZstdError, decompress

from replicator.errors import IntegrityError
from replicator.segment import read, varint
from replicator.segment.container import Header
from replicator.segment.name import SegmentName
from replicator.segment.pieces import Piece
from replicator.segment.ranges import Span
from replicator.storage import ErrorKind, ObjectStore, StorageError
from replicator.verify import places


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records, as bytes; `record_schema` is the text of the schema they are written with."""

    header: Header
    record_schema: str
    data: bytes

    def records(self) -> Iterator[tuple[int, int, int]]:
        """Offset, begin and end (in `data`) of each record; `IntegrityError` when they can't be decoded."""
        source = BytesIO(self.data)
        schema = _parsed(self.record_schema)
        begin = 0
        try:
            while begin < len(self.data):
                record: Any = fastavro.schemaless_reader(source, schema, None)
                end = source.tell()
                yield record["offset"], begin, end
                begin = end
        except Exception as error:  # whatever the decoder raises: these aren't records of that schema
            raise IntegrityError(
                f"a block of {self.header.chain} {self.header.first}-{self.header.next} can't be decoded: "
                f"{type(error).__name__}: {error}"
            ) from error

    @property
    def first(self) -> int:
        """The first record's offset."""
        return varint.read_long(self.data, 0)[0]


def chunks(
    store: ObjectStore,
    pieces: Iterable[Piece],
    span: Span,
    instead: Callable[[Piece], Sequence[Piece]] = lambda _: (),
) -> Iterator[Chunk]:
    """The records with offsets in `span` that the pieces hold, block by block.

    Of a segment that is gone since it was listed, `instead` gives pieces that hold the same.
    `IntegrityError` names a segment that isn't what its name says; `StorageError` as the store raises it.
    """
    for piece in pieces:
        start, stop = max(piece.start, span.first), min(piece.stop, span.next)
        if start < stop:
            try:
                body = _fetch(store, piece.name)
            except _GoneError:
                others = instead(piece)
                if not others:
                    raise
                yield from chunks(store, others, Span(start, stop))
            else:
                yield from _of_segment(piece.name, body, start, stop)


class _GoneError(IntegrityError):
    """The segment was listed, and isn't there any more."""


def _fetch(store: ObjectStore, name: SegmentName) -> bytes:
    try:
        body = store.get(name.key())
    except StorageError as error:
        if error.kind in (ErrorKind.TRANSIENT, ErrorKind.THROTTLED):
            raise
        kind = _GoneError if error.kind is ErrorKind.NOT_FOUND else IntegrityError
        raise kind(f"{name.key()} can't be read: {error.message}") from error
    digest = hashlib.sha256(body).hexdigest()
    if digest[:16] != name.sha256_16:
        raise IntegrityError(f"{name.key()} is damaged: its bytes hash to {digest[:16]}….")
    return body


def _of_segment(name: SegmentName, body: bytes, start: int, stop: int) -> Iterator[Chunk]:
    opened = read.open_header(body, name.key())
    other = places.disagreement(name, opened.header)
    if other is not None:
        raise IntegrityError(f"{name.key()}: {other}.")
    try:
        blocks = (
            Chunk(opened.header, opened.record_schema, decompress(block.data))
            for block in read.blocks(body, opened, name.key())
            if block.count
        )
        chunk = next(blocks, None)
        while chunk is not None and chunk.first < stop:
            following = next(blocks, None)
            # What a block's offsets stay below is known from where the next one begins.
            limit = name.next if following is None else following.first
            if limit > start:
                whole = start <= chunk.first and limit <= stop
                yield from (chunk,) if whole else _trimmed(chunk, start, stop)
            chunk = following
    except (ZstdError, IndexError) as error:
        raise IntegrityError(f"{name.key()} has a block that can't be unpacked: {error}") from None


def _trimmed(chunk: Chunk, start: int, stop: int) -> Iterator[Chunk]:
    """The part of a chunk whose offsets are in the range, if there is one."""
    inside = [(at, after) for offset, at, after in chunk.records() if start <= offset < stop]
    if inside:
        yield Chunk(chunk.header, chunk.record_schema, chunk.data[inside[0][0] : inside[-1][1]])


@lru_cache(64)
def _parsed(record_schema: str) -> Any:
    return fastavro.parse_schema(read.physical(json.loads(record_schema)))
