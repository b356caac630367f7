"""Which rows a table had at the cut, from its change records, under whatever names they were written.

A table with a key: the last record of each key, unless it deletes. Inside a partition offsets are in commit
order, and a key stays in its partition while their number is unchanged, so the largest offset decides; where
a key was found in two partitions, where the key's own form changed, and after a TRUNCATE, the commit order
decides instead. Any other table: every row image that was written, less every one that was taken away.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from replicator.debezium.transactions import Commits
from replicator.errors import RefusedError
from replicator.restore.fold.belonging import Belonging
from replicator.restore.fold.newest import CrowdedError, MovedKeyError, Newest
from replicator.restore.fold.survivors import READ, TRUNCATE, ByKey, ByOffset, Survivors
from replicator.restore.schema.epochs import START, Epoch
from replicator.restore.schema.naming import Span
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import KEY, LSN, OFFSET, OP, Chunk, Scanner

_MOST_PARTS = 1024
_BEYOND = 2**63 - 1
_WHOLE = (Epoch(),)


@dataclass(frozen=True, slots=True)
class Folding:
    """What a `Fold` is told of a table besides its records, the commits and the memory."""

    key: tuple[str, ...] = ()
    snapshot_lsn: int | None = None
    stream_starts: Mapping[tuple[str, int], int] = field(default_factory=dict)
    epochs: Mapping[str, Sequence[Epoch]] = field(default_factory=dict)
    held: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    """By topic the spans in which its name was a table's."""


class Fold:
    """The fold of one table up to a cut; `frames` hold nothing beyond it.

    `key` are the columns of the primary key. `snapshot_lsn` is given when the snapshot was begun more
    than once: rows of other attempts don't count. `stream_starts` says per topic and partition before which
    offset nothing was streamed. Keys take at most `memory` bytes; beyond, the records are read in several
    turns. `epochs` are the table's own in each topic, one after the other; where none are given, the topic is
    all its own; `belonging` judges records that are in none of them.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        key: Sequence[str],
        commits: Commits,
        snapshot_lsn: int | None,
        stream_starts: Mapping[tuple[str, int], int] | None = None,
        memory: int = 128 * 2**20,
        epochs: Mapping[str, Sequence[Epoch]] | None = None,
        belonging: Belonging | None = None,
    ) -> None:
        self.frames = tuple(frames)
        self.key = key
        self._commits = commits
        self._snapshot_lsn = snapshot_lsn
        self._starts = stream_starts or {}
        self._memory = memory
        self._epochs = epochs or {}
        self.belonging = belonging or Belonging(commits)
        self.keyed = self._holds_primary_key()

    @cached_property
    def survivors(self) -> Survivors | None:
        """The records that decide; None when every record does (rows are told by their images, none
        truncated).

        Afterwards `keyed` says whether a surviving record is a row, or its image has to be counted.
        """
        if self.keyed:
            if self._has_one_form():
                try:
                    return self._by_key()
                except MovedKeyError:
                    pass
            if not self._has_row_without_key():
                return self._by_commit(self.key)
            self.keyed = False
        return self._by_commit(()) if self._has_truncate() else None

    def chunks(self, scanner: Scanner, frame: Frame) -> Iterator[Chunk]:
        """The frame's records without rows of other attempts at a snapshot; the scanner reads LSN and
        operation. Those of another table that had the name are among them.
        """
        for chunk in scanner.chunks(frame):
            if self._snapshot_lsn is None:
                yield chunk
            else:
                own = chunk.values(LSN) == self._snapshot_lsn
                yield chunk.keep((chunk.operations() != READ) | own)

    def epochs(self, frame: Frame) -> Sequence[Epoch]:
        """The table's epochs that the frame may have records of."""
        return self._epochs.get(frame.topic, _WHOLE)

    def own(self, frame: Frame, chunk: Chunk) -> Iterator[tuple[Epoch, Chunk]]:
        """The chunk's records that are the table's, by epoch."""
        epochs = self.epochs(frame)
        if len(epochs) == 1 and epochs[0].is_whole:
            yield epochs[0], chunk
            return
        lsns, read = chunk.values(LSN), chunk.operations() == READ
        for epoch in epochs:
            inside = ~read & (lsns > epoch.after)
            if epoch.until is not None:
                inside &= lsns <= epoch.until
            if epoch.after == START:
                inside |= read
            if inside.any():
                yield epoch, chunk.keep(inside)

    def is_snapshot_only(self, frame: Frame) -> bool:
        """Whether the frame lies before everything that was streamed, or is a base's and holds rows alone."""
        return frame.holds_rows or frame.stop <= self._starts.get(frame.chain, 0)

    def _holds_primary_key(self) -> bool:
        """Whether every record's message key tells one row from all others: it has the primary key in it.

        A table without one may still have a message key, to keep what belongs together in one partition.
        """
        # What a base has of a table without a key are its events, whose order is no longer known.
        if not self.key or any(frame.of_base and not frame.holds_rows for frame in self.frames):
            return False
        return all(
            (frame.key_schemas and any(self._is_in_key(epoch, frame) for epoch in self.epochs(frame)))
            # Another table that had the name may have had no key.
            or not self._has_own(frame)
            for frame in self.frames
        )

    def _has_own(self, frame: Frame) -> bool:
        """Whether any of the frame's records is a row of the table's; TRUNCATE, which has no key, is none."""
        if frame.key_schemas and any(epoch.is_whole for epoch in self.epochs(frame)):
            return True
        parts = self._parts(Scanner(OP, LSN), frame)
        return any(bool((chunk.operations() != TRUNCATE).any()) for _, chunk in parts)

    def _is_in_key(self, epoch: Epoch, frame: Frame) -> bool:
        fields = {epoch.field(column) for column in self.key}
        return all(fields <= _fields_of_key(text) for _, text in frame.key_schemas)

    def _has_one_form(self) -> bool:
        """Whether equal bytes of a message key are equal keys wherever they are."""
        forms = {form for frame in self.frames for form in frame.key_schemas}
        called = {
            tuple(epoch.field(column) for column in self.key)
            for frame in self.frames
            for epoch in self.epochs(frame)
        }
        return len(forms) <= 1 and len(called) <= 1 and len({frame.topic for frame in self.frames}) <= 1

    def _has_row_without_key(self) -> bool:
        return any(
            bool(((chunk.operations() != TRUNCATE) & ~chunk.present(KEY)).any())
            for chunk in self._all(Scanner(KEY, OP, LSN))
        )

    def _has_truncate(self) -> bool:
        return any(bool((chunk.operations() == TRUNCATE).any()) for chunk in self._all(Scanner(OP, LSN)))

    def _all(self, scanner: Scanner) -> Iterator[Chunk]:
        for frame in self.frames:
            for _, chunk in self._parts(scanner, frame):
                yield chunk

    def _parts(self, scanner: Scanner, frame: Frame) -> Iterator[tuple[Epoch, Chunk]]:
        for chunk in self.chunks(scanner, frame):
            yield from self.own(frame, chunk)

    def _by_key(self) -> Survivors:
        try:
            return ByKey(self._newest(0, 1))
        except CrowdedError:
            pass
        parts = 4
        while True:
            try:
                return self._in_turns(parts)
            except CrowdedError:
                if parts >= _MOST_PARTS:
                    raise RefusedError(
                        f"The keys of {self.frames[0].fetched.piece.name.topic} don't fit into "
                        f"{self._memory // 2**20} MiB, not even a {parts}th of them at a time.",
                        next_step="give the restore more with --memory-mb",
                    ) from None
                parts *= 4

    def _newest(self, part: int, parts: int) -> Newest:
        """The newest streamed record of each key of a part; what the snapshot has needs no memory."""
        newest = Newest(self._memory, part, parts)
        scanner = Scanner(KEY, OP, LSN)
        for frame in self.frames:
            if self.is_snapshot_only(frame):
                continue
            for _, chunk in self._parts(scanner, frame):
                streamed = chunk.keep(chunk.operations() != READ)
                starts, lengths = streamed.texts(KEY)
                if (lengths < 0).any():
                    raise MovedKeyError
                newest.put(streamed.columns.data, starts, lengths, streamed.values(OFFSET), frame.partition)
        return newest

    def _in_turns(self, parts: int) -> Survivors:
        """As `ByKey`, for more keys than the memory takes: a part of them at a time, the result as masks."""
        masks = self._no_masks()
        rows: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for part in range(parts):
            newest = ByKey(self._newest(part, parts))
            scanner = Scanner(KEY, OP, LSN)
            for frame in self.frames:
                for _, chunk in self._parts(scanner, frame):
                    deciding = newest.of(frame, chunk)
                    if frame.of_base:
                        rows[frame.chain].append(chunk.values(OFFSET)[deciding])
                    else:
                        base, mask = masks[frame.chain]
                        mask[chunk.values(OFFSET) - base] |= deciding
        return ByOffset(
            masks,
            {
                chain: np.sort(np.concatenate(each)) if each else np.empty(0, np.int64)
                for chain, each in rows.items()
            },
        )

    def _by_commit(self, key: Sequence[str]) -> Survivors:
        from replicator.restore.fold import commit_order  # Arrow sorts there; few tables need it

        masks = self._no_masks()
        # A base's records lie below all others of their partition.
        rows = {frame.chain: np.empty(0, np.int64) for frame in self.frames if frame.of_base}
        for chain, offsets in commit_order.deciding(
            self.frames, self._parts, self._key_fields, key, self._commits
        ):
            base, mask = masks.get(chain, (_BEYOND, None))
            later = offsets >= base
            if chain in rows:
                rows[chain] = np.sort(offsets[~later])
            if mask is not None:
                mask[offsets[later] - base] = True
        return ByOffset(masks, rows)

    def _key_fields(self, frame: Frame) -> list[str]:
        """The fields of the frame's rows that hold a part of the primary key in some epoch."""
        called = {epoch.field(column) for epoch in self.epochs(frame) for column in self.key}
        return [name for name in frame.fields if name in called]

    def _no_masks(self) -> dict[tuple[str, int], tuple[int, Any]]:
        masks = {}
        for chain in {frame.chain for frame in self.frames if not frame.of_base}:
            own = [frame for frame in self.frames if frame.chain == chain and not frame.of_base]
            base, stop = min(frame.first for frame in own), max(frame.stop for frame in own)
            masks[chain] = (base, np.zeros(stop - base, bool))
        return masks


@lru_cache(maxsize=512)
def _fields_of_key(schema_text: str) -> frozenset[str]:
    schema = json.loads(schema_text)
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    return frozenset(field["name"] for field in fields)
