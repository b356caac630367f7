"""Kept records into the segments of a base: copied as they are, compressed anew, stored if absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from replicator.bases import BaseSegment
from replicator.compact.epochs import Epochs
from replicator.compact.streams import Kept
from replicator.segment import container
from replicator.segment.container import Header
from replicator.segment.name import Chain

BLOCK_BYTES = 512 * 1024
SEGMENT_BYTES = 16 * 2**20
"""Large enough that a distant store's answer times don't count, small enough to fetch several at once."""

Put = Callable[[str, bytes, str], None]


class ChainCopy:
    """Writes one chain's kept records, given in the order of their offsets; one segment is in memory.

    `put` stores a body under a key with its SHA-256, and leaves one that is there alone. The same records
    give the same segments, so what a killed run stored is found again.
    """

    def __init__(self, chain: Chain, root: str, epochs: Epochs, put: Put) -> None:
        self._chain = chain
        self._root = root
        self._epochs = epochs
        self._put = put
        self._covered = 0
        self._header: Header | None = None
        self._span = 0
        self._blocks: list[tuple[int, bytes]] = []
        self._packed = 0
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._open_count = 0
        self._last = 0
        self.segments: list[BaseSegment] = []

    def add(self, kept: Kept) -> None:
        """Take in records that lie behind all those before."""
        spans = self._epochs.of(kept)
        offsets, timestamps = kept.offsets, kept.timestamps
        ends = kept.ends
        first = 0
        while first < len(offsets):
            # As many as fit into the block, and no further than the span goes.
            fits = int(np.searchsorted(ends, ends[first] + BLOCK_BYTES - self._open_bytes))
            until = int(np.searchsorted(spans, spans[first], "right"))
            stop = max(min(fits, until), first + 1)
            self._begin(kept, int(spans[first]))
            self._open.append(kept.data[ends[first] : ends[stop]].tobytes())
            self._open_bytes += int(ends[stop] - ends[first])
            self._open_count += stop - first
            self._note(timestamps[first:stop], int(offsets[stop - 1]))
            if self._open_bytes >= BLOCK_BYTES:
                self._close_block()
            if self._packed >= SEGMENT_BYTES:
                self._seal(self._last + 1)
            first = stop

    def finish(self, stop: int) -> tuple[BaseSegment, ...]:
        """Seal the last segment, which covers the chain up to `stop`; returns all of them."""
        self._seal(stop)
        return tuple(self.segments)

    def _begin(self, kept: Kept, span: int) -> None:
        theirs = kept.frame.fetched.header
        if self._header is not None and (self._header.value_schema, self._span) != (
            theirs.value_schema,
            span,
        ):
            self._seal(self._last + 1)
        if self._header is None:
            self._span = span
            self._header = Header(
                theirs.cluster_id, self._chain, self._covered, 0, 0, theirs.value_schema, theirs.key_schemas
            )
        elif self._header.key_schemas != theirs.key_schemas:
            known = dict(self._header.key_schemas) | dict(theirs.key_schemas)
            self._header = replace(self._header, key_schemas=tuple(known.items()))

    def _note(self, timestamps: np.ndarray, last: int) -> None:
        header = self._header
        assert header is not None
        low, high = int(timestamps.min()), int(timestamps.max())
        if header.first_timestamp is not None and header.last_timestamp is not None:
            low, high = min(low, header.first_timestamp), max(high, header.last_timestamp)
        self._header = replace(
            header, first_timestamp=low, last_timestamp=high, count=header.count + len(timestamps)
        )
        self._last = last

    def _close_block(self) -> None:
        if self._open:
            packed = container.compress(b"".join(self._open))
            self._blocks.append((self._open_count, packed))
            self._packed += len(packed)
            self._open, self._open_bytes, self._open_count = [], 0, 0

    def _seal(self, stop: int) -> None:
        self._close_block()
        if self._header is None:
            return
        made = container.build(replace(self._header, next=stop), self._blocks)
        name = replace(made.name, root=self._root)
        self._put(name.key(), made.body, made.sha256)
        first, last = self._epochs.bounds(self._span)
        self.segments.append(
            BaseSegment(name.key(), len(made.body), made.sha256, self._header.count, first, last)
        )
        self._covered, self._header, self._blocks, self._packed = stop, None, [], 0
