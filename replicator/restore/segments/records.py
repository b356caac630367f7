"""Segments' records as columns, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from backports.zstd import ZstdError, decompress

from replicator.avro import kernel, values
from replicator.avro.program import Path, Program, program
from replicator.avro.reader import Columns, Reader
from replicator.errors import IntegrityError
from replicator.restore.segments.frames import Frame, together
from replicator.segment import varint

OFFSET: Path = ("offset",)
KEY: Path = ("key",)
OP: Path = ("value", "op")
XID: Path = ("value", "source", "txId")
LSN: Path = ("value", "source", "lsn")
AFTER: Path = ("value", "after")
BEFORE: Path = ("value", "before")

_CHUNK = 4 * 2**20
"""So many bytes of records are read at a time, or one block that is larger."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records of a frame; holds until the next chunk is read. `rows` are their numbers in `columns`."""

    columns: Columns
    rows: Any
    end: int
    """Where the last record of `columns` ends in its data."""

    def values(self, path: Path) -> Any:
        """One integer a record, as numpy has it; 0 where it is NULL."""
        return self.columns.values(path)[self.rows]

    def present(self, path: Path) -> Any:
        """For each record whether the value isn't NULL."""
        return self.columns.present(path)[self.rows]

    def operations(self) -> Any:
        """The first byte of each event's `op`; 0 where there is no value or it isn't of one letter."""
        column = self.columns.root.at(OP).column
        starts, lengths = (side[column][self.rows] for side in (self.columns.numbers, self.columns.lengths))
        return np.where(lengths == 1, self.columns.data[np.where(lengths == 1, starts, 0)], 0)

    def texts(self, path: Path) -> tuple[Any, Any]:
        """Where each text begins in `columns.data`, and its length in bytes, -1 for NULL."""
        column = self.columns.root.at(path).column
        return self.columns.numbers[column][self.rows], self.columns.lengths[column][self.rows]

    def arrow(self, path: Path) -> Any:
        """The column at the path as an Arrow array of its own."""
        from replicator.avro import arrow  # takes 0.1 s to start, and only rows that go as text need it

        return arrow.array(self.columns, path, self.rows)

    def bodies(self) -> tuple[Any, Any]:
        """The bytes of the records one after the other, as they are in the segment, in memory of their own;
        record `i` ends at the second array's `[i + 1]`.
        """
        begins = self.columns.values(())
        behind = np.append(begins[1:], self.end)
        starts = np.ascontiguousarray(begins[self.rows])
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(behind[self.rows] - starts)])
        data = np.empty(int(ends[-1]), np.uint8)
        kernel.gather(self.columns.data, starts, ends, data)
        return data, ends

    def keep(self, mask: Any) -> Chunk:
        """The records that the mask names."""
        return replace(self, rows=self.rows[mask])

    def dictionaries(self, fields: Mapping[str, Path]) -> list[dict[str, Any]]:
        """The records as dictionaries with these names; for few records."""
        columns = [values.of(self.columns, path, self.rows) for path in fields.values()]
        return [dict(zip(fields, row, strict=True)) for row in zip(*columns, strict=True)]


class Scanner:
    """Reads the wanted paths of frames, always into the same memory; for one thread."""

    def __init__(self, *wanted: Path) -> None:
        self._wanted = (OFFSET, *(path for path in wanted if path != OFFSET))
        self._readers: dict[str, Reader] = {}
        self._programs: dict[str, Program] = {}
        self._body = bytearray()
        self._data = np.empty(_CHUNK, np.uint8)

    def program(self, frame: Frame) -> Program:
        """The program for a frame's schema.

        `IntegrityError` when the schema lacks a wanted field: then it isn't what Debezium writes.
        """
        known = self._programs.get(frame.fetched.record_schema)
        if known is not None:
            return known
        made = program(frame.fetched.record_schema, self._wanted)
        for path in self._wanted:
            try:
                made.root.at(path)
            except KeyError:
                raise IntegrityError(
                    f"{frame.key} has records without the field {'.'.join(path)}: no change events.",
                    next_step="find out what else writes to the topic",
                ) from None
        self._programs[frame.fetched.record_schema] = made
        return made

    def chunks(self, frame: Frame) -> Iterator[Chunk]:
        """The frame's records in the order of their offsets.

        `IntegrityError` when the segment isn't what its header says, though its hash is right.
        """
        if frame.members:
            yield self._together(frame.members)
            return
        self.program(frame)
        text = frame.fetched.record_schema
        reader = self._readers.get(text)
        if reader is None:
            reader = self._readers[text] = Reader(text, self._wanted)
        blocks: list[tuple[int, int, int]] = []
        records = 0
        for count, packed in self._blocks(frame):
            size = self._unpack(frame, packed, blocks[-1][1] if blocks else 0)
            blocks.append((blocks[-1][1] if blocks else 0, size, count))
            records += count
            if size >= _CHUNK:
                yield self._chunk(frame, reader, blocks)
                blocks = []
        if blocks:
            yield self._chunk(frame, reader, blocks)
        _check_count(frame, records)

    def joined(self, frames: Iterable[Frame]) -> Iterator[Chunk]:
        """As `chunks` of one frame after the other, but small ones of one schema together: a sink that seals
        each second leaves thousands of a few records, and a chunk costs more than those.
        """
        for frame in together(frames):
            yield from self.chunks(frame)

    def _together(self, frames: Sequence[Frame]) -> Chunk:
        blocks: list[tuple[int, int, int]] = []
        ends, at = [0], 0
        for frame in frames:
            self.program(frame)
            records = 0
            for count, packed in self._blocks(frame):
                size = self._unpack(frame, packed, at)
                blocks.append((at, size, count))
                at, records = size, records + count
            _check_count(frame, records)
            ends.append(ends[-1] + records)
        text = frames[0].fetched.record_schema
        if text not in self._readers:
            self._readers[text] = Reader(text, self._wanted)
        columns = self._readers[text].read(self._data, blocks, frames[0].key)
        offsets = columns.values(OFFSET)
        rows = []
        for frame, first, end in zip(frames, ends, ends[1:], strict=False):
            low, high = np.searchsorted(offsets[first:end], (frame.first, frame.stop))
            rows.append(np.arange(first + low, first + high))
        return Chunk(columns, np.concatenate(rows), at)

    def _chunk(self, frame: Frame, reader: Reader, blocks: Sequence[tuple[int, int, int]]) -> Chunk:
        columns = reader.read(self._data, blocks, frame.key)
        offsets = columns.values(OFFSET)
        low, high = np.searchsorted(offsets, (frame.first, frame.stop))
        return Chunk(columns, np.arange(low, high), blocks[-1][1])

    def _blocks(self, frame: Frame) -> Iterator[tuple[int, memoryview]]:
        size = frame.fetched.size
        if len(self._body) < size and not isinstance(frame.fetched.held, bytes):
            self._body = bytearray(size)
        body = frame.fetched.content(self._body)
        whole = len(body) == size
        at, sync = frame.fetched.blocks_at, frame.fetched.sync
        while whole and at < size:
            try:
                count, at = varint.read_long(body, at)
                length, at = varint.read_long(body, at)
            except IndexError:
                whole = False
                break
            end = at + length
            whole = 0 <= length <= size - at and body[end : end + len(sync)] == sync
            if whole:
                yield count, body[at:end]
            at = end + len(sync)
        if not whole:
            raise IntegrityError(
                f"{frame.key} has a block before byte {at} that doesn't end where it should.",
                next_step="restore from another destination, and keep this object as evidence",
            )

    def _unpack(self, frame: Frame, packed: memoryview, at: int) -> int:
        """Put a block's records behind `at`; returns where they end."""
        try:
            block = decompress(packed)
        except ZstdError as error:
            raise IntegrityError(
                f"{frame.key} can't be decompressed: {error}.",
                next_step="restore from another destination, and keep this object as evidence",
            ) from None
        end = at + len(block)
        if end > len(self._data):
            grown = np.empty(2 * end, np.uint8)
            grown[:at] = self._data[:at]
            self._data = grown
        self._data[at:end] = np.frombuffer(block, np.uint8)
        return end


def _check_count(frame: Frame, records: int) -> None:
    if records != frame.fetched.header.count:
        raise IntegrityError(
            f"{frame.key} holds {records} records and says {frame.fetched.header.count}.",
            next_step="restore from another destination, and keep this object as evidence",
        )
