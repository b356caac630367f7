"""A worker's second work: the records that decide, as rows in a file that COPY takes.

They are put together as segments are and read by the code that reads segments, so a row is made of the same
bytes in the same way as by a restore on one machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from replicator.debezium.binary import HEADER, TRAILER, NotPlainError
from replicator.debezium.exact import row_fields
from replicator.errors import IntegrityError, ReplicatorError
from replicator.restore.errors import ProofError
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import caveats, check_types
from replicator.restore.segments.catalog import Piece
from replicator.restore.segments.fetch import Fetched
from replicator.restore.segments.frames import Frame
from replicator.restore.spread.task import Failure, Form, Task
from replicator.segment import container, varint
from replicator.segment.container import Header
from replicator.segment.name import SegmentName

_BLOCK = 2**20
_SYNC = bytes(16)
_UNNAMED = "0" * 16


@dataclass(frozen=True, slots=True)
class Written:
    """A file of `rows` rows, and its SHA-256 in hex; `partition` says where it comes among the others.

    `caveats` are columns of which values may have been changed on the way, and how.
    """

    partition: int
    path: Path
    as_binary: bool
    rows: int
    sha256: str
    caveats: tuple[tuple[str, str], ...] = ()

    def pieces(self) -> Iterator[bytes]:
        """What is in the file; `IntegrityError` at its end when that isn't what was written."""
        running = hashlib.sha256()
        with self.path.open("rb") as file:
            while piece := file.read(_BLOCK):
                running.update(piece)
                yield piece
        if running.hexdigest() != self.sha256:
            raise IntegrityError(
                f"{self.path} isn't what a worker of Spark wrote there; nothing of it was kept.",
                next_step="see what else writes there and whether that disk is sound, then restore again",
            )


def write(task: Task, partition: int, batches: Iterable[Any]) -> Written | Failure:
    """The records of one partition of the fold's result, in its order, as a file in the task's folder."""
    try:
        with TemporaryDirectory(prefix="replicator-rows-") as folder:
            frames = list(_frames(task, batches, Path(folder)))
            return _write(task, partition, frames)
    except ReplicatorError as error:
        return Failure(error)


def _write(task: Task, partition: int, frames: list[Frame]) -> Written:
    # Whichever attempt at a partition is the one that counts, its file is nobody else's.
    path = task.folder / f"{partition:06d}-{uuid4().hex}.copy"
    task = task.decided()
    rows = task.rows(frames)
    check_types(rows)
    if not task.as_text:
        try:
            digest = _save(path, _framed(rows.pieces(task.constants)))
        except NotPlainError:
            rows = task.rows(frames)
        else:
            return Written(partition, path, True, rows.counted.rows, digest, tuple(caveats(rows)))
    digest = _save(path, map(text_rows.csv, text_rows.batches(rows)))
    return Written(partition, path, False, rows.counted.rows, digest, tuple(caveats(rows)))


def _framed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield HEADER
    yield from pieces
    yield TRAILER


def _save(path: Path, pieces: Iterable[bytes]) -> str:
    running = hashlib.sha256()
    with path.open("wb") as file:
        for piece in pieces:
            running.update(piece)
            file.write(piece)
    return running.hexdigest()


def _frames(task: Task, batches: Iterable[Any], folder: Path) -> Iterator[Frame]:
    """A frame for each form, made of its records in the order of their offsets."""
    run: _Run | None = None
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("form", "at_offset", "record", "copies"))
        for form, offset, record, copies in zip(*columns, strict=True):
            if copies < 1:
                raise _taken_too_often(task, -copies)
            if run is None or run.number != form:
                if run is not None:
                    yield run.frame()
                    _check_order(task, run.number < form)
                run = _Run(form, task.forms[form], folder / f"{form}")
            _check_order(task, offset > run.last)
            run.add(offset, record)
    if run is not None:
        yield run.frame()


def _check_order(task: Task, holds: bool) -> None:
    if not holds:
        raise IntegrityError(
            f"The fold of {task.table.collection} came out of order.",
            next_step="restore with --engine local, and report it: this must not happen",
        )


def _taken_too_often(task: Task, often: int) -> ProofError:
    return ProofError(
        f"{task.table.collection} has no key, and {often} of its deletes or updates take away a row that was "
        "never written.",
        next_step="restore from another destination; if that fails as well, the source lost events",
    )


class _Run:
    """The records of one form on their way into a file of blocks."""

    def __init__(self, number: int, form: Form, path: Path) -> None:
        self.number = number
        self.last = -1
        self._form = form
        self._path = path
        self._first: int | None = None
        self._count = 0
        self._open: list[bytes] = []
        self._open_bytes = 0

    def add(self, offset: int, record: bytes) -> None:
        if self._first is None:
            self._first = offset
        self.last = offset
        self._count += 1
        self._open.append(record)
        self._open_bytes += len(record)
        if self._open_bytes >= _BLOCK:
            self._close_block()

    def frame(self) -> Frame:
        self._close_block()
        form, chain = self._form, self._form.chain
        first, stop = self._first or 0, self.last + 1
        name = SegmentName(chain.topic, chain.topic_id, chain.partition, first, stop, _UNNAMED)
        header = Header("", chain, first, stop, self._count, form.value_schema)
        piece = Piece(name, self._path.stat().st_size, first, stop)
        fetched = Fetched(piece, self._path, header, form.record_schema, 0, _SYNC)
        return Frame(fetched, first, stop, *row_fields(form.value_schema[1]))

    def _close_block(self) -> None:
        if self._open:
            packed = container.compress(b"".join(self._open))
            with self._path.open("ab") as file:
                file.write(varint.long(len(self._open)) + varint.long(len(packed)) + packed + _SYNC)
            self._open, self._open_bytes = [], 0
