"""The records that decide what a table holds, once they are known: by their keys, or by their offsets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from replicator.debezium import envelope
from replicator.restore.fold.newest import ABSENT, Newest
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import KEY, OFFSET, Chunk

READ, TRUNCATE = (ord(each) for each in (envelope.READ, envelope.TRUNCATE))


class Survivors(Protocol):
    """The records that decide what a table holds."""

    def of(self, frame: Frame, chunk: Chunk) -> Any:
        """For each record of the chunk whether it decides; the chunk has offset, key and operation."""
        ...


@dataclass(frozen=True, slots=True)
class ByKey:
    """Of the streamed records the newest of each key; of the snapshot's, and of a base's rows, those whose
    key none of them has.
    """

    newest: Newest

    def of(self, frame: Frame, chunk: Chunk) -> Any:
        """For each record whether it decides; False also for those whose key is of another part."""
        found = self.newest.find(chunk.columns.data, *chunk.texts(KEY))
        first = frame.holds_rows | (chunk.operations() == READ)
        return np.where(first, found == ABSENT, found == chunk.values(OFFSET))


@dataclass(frozen=True, slots=True)
class ByOffset:
    """Per partition the first offset covered, and for each one from there whether its record decides."""

    masks: Mapping[tuple[str, int], tuple[int, Any]]
    rows: Mapping[tuple[str, int], Any] = field(default_factory=dict)
    """Per topic and partition the offsets of a base's rows that decide, in order: they are few."""

    def of(self, frame: Frame, chunk: Chunk) -> Any:
        """For each record whether it decides."""
        offsets = chunk.values(OFFSET)
        if frame.of_base:
            rows = self.rows[frame.chain]
            return np.searchsorted(rows, offsets, "right") > np.searchsorted(rows, offsets, "left")
        base, mask = self.masks[frame.chain]
        return mask[offsets - base]
