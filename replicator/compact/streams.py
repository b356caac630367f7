"""The records that a base keeps of a table, as the bytes they have in their segments, and a digest of them.

Nothing is decoded but what decides: a record of a base is the same bytes as in the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from replicator.avro.program import Path
from replicator.compact.multiset import Left
from replicator.restore.rows.surviving import Rows
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import KEY, LSN, OFFSET, OP, XID, Chunk, Scanner

TIMESTAMP: Path = ("timestamp",)


@dataclass(frozen=True, slots=True)
class Kept:
    """Records of one frame that are kept, in the order of their offsets; holds until the next are read.

    `data` are their bytes one after the other; record `i` ends at `ends[i + 1]`.
    """

    frame: Frame
    chunk: Chunk
    data: Any
    ends: Any

    @property
    def offsets(self) -> Any:
        """Their offsets."""
        return self.chunk.values(OFFSET)

    @property
    def timestamps(self) -> Any:
        """When each was written, in ms since 1970."""
        return self.chunk.values(TIMESTAMP)


def kept(rows: Rows, left: Left | None = None) -> Iterator[Kept]:
    """What a base keeps of the table: what decides, or the records in `left`, each of which shows a row.

    Everything that is read is counted in `rows.counted`.
    """
    scanner = Scanner(OP, XID, LSN, KEY, TIMESTAMP)
    for frame in rows.frames:
        for chunk in rows.deciding(scanner, frame):
            if left is not None:
                chunk = chunk.keep(np.isin(chunk.values(OFFSET), left[frame.chain]))
            if len(chunk.rows):
                yield Kept(frame, chunk, *chunk.bodies())


@dataclass(slots=True)
class Digest:
    """Of one partition: how many records, and a SHA-256 over them and the schemas they are written with."""

    records: int = 0
    sha256: str = ""


Place = tuple[str, int, bool]
"""Topic and partition of kept records, and whether the base has them as rows."""


def place(part: Kept, *, keyed: bool) -> Place:
    """Where a base has these records; `keyed` as the fold says.

    Rows of an older base stay rows also where what comes after them is told by images: what such a record
    replaced isn't in the base any more.
    """
    topic, partition = part.frame.chain
    return topic, partition, keyed or part.frame.holds_rows


def digests(parts: Iterable[Kept], *, keyed: bool) -> dict[Place, Digest]:
    """Per place the digest of its kept records, given in the order of their offsets.

    However the records are cut into segments, the same records give the same digest: it is over the text of a
    record's schema wherever it changes, as its SHA-256, and then the records' bytes.
    """
    found: dict[Place, Digest] = {}
    hashes: dict[Place, Any] = {}
    schemas: dict[Place, str] = {}
    for part in parts:
        where, schema = place(part, keyed=keyed), part.frame.fetched.record_schema
        running = hashes.setdefault(where, hashlib.sha256())
        if schemas.get(where) != schema:
            schemas[where] = schema
            running.update(b"schema " + hashlib.sha256(schema.encode()).digest())
        running.update(part.data)
        found.setdefault(where, Digest()).records += len(part.ends) - 1
    for where, digest in found.items():
        digest.sha256 = hashes[where].hexdigest()
    return found
