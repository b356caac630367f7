"""The largest offset of each key among streamed records: a hash table that compares whole keys."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from replicator.restore.fold import newest_kernel as kernel

ABSENT: Final = kernel.ABSENT
NOT_MINE: Final = kernel.NOT_MINE


class MovedKeyError(Exception):
    """A key was seen in two partitions: offsets don't decide."""


class CrowdedError(Exception):
    """More keys than the memory takes."""


class Newest:
    """Holds the keys of one part of `parts` in up to `limit` bytes; a key's hash says which part it is of."""

    def __init__(self, limit: int, part: int = 0, parts: int = 1) -> None:
        self._limit = limit
        self._part, self._parts = part, parts
        self._slots = np.full(1024, -1, np.int64)
        self._entries = np.empty((512, 5), np.int64)
        self._bytes = np.empty(2**14, np.uint8)
        self._used = np.zeros(2, np.int64)

    def put(self, data: Any, starts: Any, lengths: Any, offsets: Any, partition: int) -> None:
        """Take in keys with their offsets; `MovedKeyError` and `CrowdedError` say why that can't be."""
        at = 0
        while True:
            status, at = kernel.put(
                data, starts, lengths, offsets, partition, at, self._part, self._parts,
                self._slots, self._entries, self._bytes, self._used,
            )  # fmt: skip
            if status == kernel.MOVED:
                raise MovedKeyError
            if status == kernel.OK:
                return
            self._grow(int(lengths[at]))

    def find(self, data: Any, starts: Any, lengths: Any) -> Any:
        """For each key its largest offset, `ABSENT`, or `NOT_MINE` for one of another part."""
        found = np.empty(len(starts), np.int64)
        kernel.find(
            data, starts, lengths, self._part, self._parts,
            self._slots, self._entries, self._bytes, found,
        )  # fmt: skip
        return found

    def _grow(self, needed: int) -> None:
        """Room for twice as much, in whichever array is full."""
        entries, used = self._entries, self._used
        if used[0] >= len(entries):
            self._entries = np.empty((2 * len(entries), entries.shape[1]), np.int64)
            self._entries[: used[0]] = entries[: used[0]]
            self._slots = np.full(2 * len(self._slots), -1, np.int64)
            kernel.rehash(self._slots, self._entries, int(used[0]))
        else:
            old = self._bytes
            self._bytes = np.empty(2 * len(old) + needed, np.uint8)
            self._bytes[: used[1]] = old[: used[1]]
        if self._slots.nbytes + self._entries.nbytes + self._bytes.nbytes > self._limit:
            raise CrowdedError
