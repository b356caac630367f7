"""The rows of a table without a key: what was written less what was taken away, as records that show them.

Which of several records with the same row is kept makes no difference. Where a row that was taken away isn't
found byte for byte among those that were written, since its columns changed in between, nothing is folded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from replicator.avro.program import Path
from replicator.restore.fold import images
from replicator.restore.rows.surviving import Rows
from replicator.restore.schema.epochs import Epoch
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import AFTER, BEFORE, KEY, LSN, OFFSET, OP, XID, Chunk, Scanner

Left = Mapping[tuple[str, int], Any]
"""By topic and partition the offsets of the records whose rows are left, in order."""
_BYTES_A_ROW = 200
"""What an image's digest and its number take in a dictionary."""


def left(rows: Rows, memory: int) -> Left | None:
    """The records whose rows are there at the cut; `rows` is counted twice by it.

    None where that can't be told of the records alone, or where the images of all rows that ever were take
    more than `memory` bytes: then every event has to be kept.
    """
    counts: dict[bytes, int] = {}
    for frame, epoch, chunk in _written(rows):
        for image in _images(frame, epoch, chunk, AFTER):
            counts[image] = counts.get(image, 0) + 1
        if len(counts) * _BYTES_A_ROW > memory:
            return None
    for frame, epoch, chunk in rows.taken(Scanner(OP, LSN, KEY, BEFORE)):
        for image in _images(frame, epoch, chunk, BEFORE):
            if not counts.get(image):
                return None
            counts[image] -= 1
    found: dict[tuple[str, int], list[Any]] = {frame.chain: [] for frame in rows.frames}
    for frame, epoch, chunk in _written(rows):
        kept = []
        for image in _images(frame, epoch, chunk, AFTER):
            kept.append(counts[image] > 0)
            counts[image] -= kept[-1]
        found[frame.chain].append(chunk.values(OFFSET)[np.array(kept, bool)])
    return {
        chain: np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        for chain, parts in found.items()
    }


def _written(rows: Rows) -> Iterator[tuple[Frame, Epoch, Chunk]]:
    scanner = Scanner(OP, XID, LSN, KEY, AFTER)
    for frame in rows.frames:
        for epoch, chunk in rows.alive(scanner, frame):
            if len(chunk.rows):
                yield frame, epoch, chunk


def _images(frame: Frame, epoch: Epoch, chunk: Chunk, side: Path) -> Iterator[bytes]:
    """A digest of each record's row, in which the same values under another schema are another row: a column
    may have been made anew under its name.
    """
    about = f"{epoch.after} {frame.fetched.record_schema}".encode()
    begun = hashlib.blake2b(about, digest_size=16)
    columns = [_texts(column) for column in chunk.arrow(side).flatten()]
    for text in images.of(columns).to_pylist():
        digest = begun.copy()
        digest.update(text.encode())
        yield digest.digest()


def _texts(column: Any) -> Any:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column
    # Lists and bytes, and numbers with more than one spelling of a value.
    return pa.array([None if each is None else repr(each) for each in column.to_pylist()], pa.string())
