"""A worker's first work: segments, checked, into rows of `records` (see `fold_sql`), as a Parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from replicator.debezium import envelope
from replicator.errors import IntegrityError, RefusedError, ReplicatorError
from replicator.restore.fold import images
from replicator.restore.fold.commit_order import TOTAL_ORDER, key_part
from replicator.restore.fold.survivors import READ, TRUNCATE
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import Counted, Rows
from replicator.restore.segments.fetch import Fetched
from replicator.restore.segments.frames import Frame, frames
from replicator.restore.segments.records import AFTER, BEFORE, KEY, LSN, OFFSET, OP, XID, Chunk, Scanner
from replicator.restore.spread.task import Failure, Part, Task
from replicator.segment.read import open_header

# The published stubs know fewer argument types than the functions take.
pc: Any = pyarrow.compute
pq: Any = pyarrow.parquet

_COLUMNS: dict[str, pa.DataType] = {
    "row_key": pa.binary(),
    "op": pa.string(),
    "change": pa.int64(),
    "is_first": pa.bool_(),
    "xid": pa.int64(),
    "lsn": pa.int64(),
    "total_order": pa.int64(),
    "form": pa.int32(),
    "at_offset": pa.int64(),
    "record": pa.binary(),
}
RECORDS = pa.schema(_COLUMNS)
_ROW_GROUP = 32 * 2**20
_PLACE = (OP, XID, LSN, KEY, TOTAL_ORDER)
_DELETE = ord(envelope.DELETE)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What passed, and whether some record without a message key has a row: then keys don't tell them."""

    counted: Counted
    has_row_without_key: bool
    records: int


@dataclass(frozen=True, slots=True)
class Group:
    """Some parts of a table for one worker, and the file that it makes of them."""

    task: Task
    parts: tuple[Part, ...]
    path: Path


def scan(group: Group) -> Scanned | Failure:
    """Write the group's records into its file, and count them as a restore on one machine does."""
    try:
        return _scan(group)
    except ReplicatorError as error:
        return Failure(error)


def _scan(group: Group) -> Scanned:
    task = group.task
    opened = [_opened(part) for part in group.parts]
    forms = {frame.key: part.form for frame, part in opened}
    rows = task.rows([frame for frame, _ in opened])
    found = _Found()
    read = _by_key(task, rows, forms, found) if task.keyed else _by_image(task, rows, forms)
    partial = group.path.with_suffix(f".{id(group):x}.partial")
    with pq.ParquetWriter(
        partial, RECORDS, compression="snappy", use_dictionary=["op"], write_page_checksum=True
    ) as writer:
        for table in _together(read):
            writer.write_table(table)
            found.records += len(table)
    partial.rename(group.path)
    return Scanned(rows.counted, found.has_row_without_key, found.records)


@dataclass(slots=True)
class _Found:
    has_row_without_key: bool = field(default=False)
    records: int = 0


def _opened(part: Part) -> tuple[Frame, Part]:
    """The part as a frame, once its bytes were compared with its name."""
    name = part.piece.name
    try:
        body = part.held if isinstance(part.held, bytes) else part.held.read_bytes()
    except OSError as error:
        raise RefusedError(
            f"A worker of Spark can't read {part.held!s}: {error.strerror}.",
            next_step="give --scratch a directory that this machine and all workers share under one path, "
            "or restore with --engine local",
        ) from None
    if hashlib.sha256(body).hexdigest()[:16] != name.sha256_16:
        raise IntegrityError(
            f"{name.key()} was brought here whole, and a worker of Spark reads other bytes.",
            next_step="see what else writes there, or whether the shared disk is sound, and restore again",
        )
    opened = open_header(body, name.key())
    fetched = Fetched(
        part.piece, part.held, opened.header, opened.record_schema, opened.blocks_at, opened.sync
    )
    [frame] = frames([fetched], {name.partition: part.stop})
    return frame, part


def _by_key(task: Task, rows: Rows, forms: dict[str, int], found: _Found) -> Iterator[Any]:
    """Every record under its row's primary key."""
    scanners: dict[tuple[str, ...], Scanner] = {}
    for frame in rows.frames:
        called = {epoch.field(column) for epoch in rows.epochs(frame) for column in task.folding.key}
        fields = tuple(name for name in frame.fields if name in called)
        if fields not in scanners:
            scanners[fields] = Scanner(
                *_PLACE, *((*side, name) for side in (BEFORE, AFTER) for name in fields)
            )
        for epoch, chunk in rows.records(scanners[fields], frame):
            if not len(chunk.rows):
                continue
            operations = chunk.operations()
            found.has_row_without_key |= bool(((operations != TRUNCATE) & ~chunk.present(KEY)).any())
            keys = _joined([key_part(chunk, epoch.field(column), frame) for column in task.folding.key])
            dead = np.isin(operations, (_DELETE, TRUNCATE))
            yield _table(frame, chunk, keys, 1, forms[frame.key], dead)


def _by_image(task: Task, rows: Rows, forms: dict[str, int]) -> Iterator[Any]:
    """Every row that was written and every one that was taken away, under all that is in it."""
    written, taken, truncates = Scanner(*_PLACE, AFTER), Scanner(*_PLACE, BEFORE), Scanner(*_PLACE)
    for frame in rows.frames:
        for epoch, chunk in rows.alive(written, frame):
            if len(chunk.rows):
                columns = text_rows.encoded(rows, frame, epoch, chunk.arrow(AFTER))
                alive = np.zeros(len(chunk.rows), bool)
                yield _table(frame, chunk, images.of(columns), 1, forms[frame.key], alive)
        for _, chunk in rows.records(truncates, frame, counting=False):
            told = chunk.keep(chunk.operations() == TRUNCATE)
            if len(told.rows):
                nothing = pa.nulls(len(told.rows), pa.binary())
                yield _table(frame, told, nothing, 0, forms[frame.key], np.ones(len(told.rows), bool))
    for frame, epoch, chunk in rows.taken(taken):
        columns = text_rows.encoded(rows, frame, epoch, chunk.arrow(BEFORE))
        yield _table(frame, chunk, images.of(columns), -1, forms[frame.key], np.ones(len(chunk.rows), bool))


def _joined(key: Sequence[Any]) -> Any:
    """The parts of each key as one: no text of PostgreSQL's has a NUL in it, and bytes are spelt in hex."""
    if len(key) == 1:
        return key[0]
    texts = [
        pa.array([None if each is None else each.hex() for each in part.to_pylist()], pa.string())
        if pa.types.is_binary(part.type)
        else part
        for part in key
    ]
    return pc.binary_join_element_wise(*texts, "\0")


def _table(frame: Frame, chunk: Chunk, keys: Any, change: int, form: int, dead: Any) -> Any:
    count = len(chunk.rows)
    operations = chunk.operations().astype(np.uint8)
    first = np.full(count, True) if frame.of_base else operations == READ
    data, ends = chunk.bodies()
    records = pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    )
    if dead.any():
        records = pc.if_else(pa.array(dead), pa.scalar(None, pa.binary()), records)
    columns = [
        keys.cast(pa.binary()),
        pa.array(operations.view("S1").astype("U1"), pa.string()),
        pa.repeat(pa.scalar(change, pa.int64()), count),
        pa.array(first),
        *(pa.array(chunk.values(path).astype(np.int64)) for path in (XID, LSN, TOTAL_ORDER)),
        pa.repeat(pa.scalar(form, pa.int32()), count),
        pa.array(chunk.values(OFFSET).astype(np.int64)),
        records,
    ]
    return pa.Table.from_arrays(columns, schema=RECORDS)


def _together(tables: Iterator[Any]) -> Iterator[Any]:
    """Some of them as one: a row group should be worth its header."""
    held: list[Any] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes
        if size >= _ROW_GROUP:
            yield pa.concat_tables(held).combine_chunks()
            held, size = [], 0
    if held:
        yield pa.concat_tables(held).combine_chunks()
