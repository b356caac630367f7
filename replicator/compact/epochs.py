"""Between which DDL commands a record was written: a base says it by segment, since its commits are gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from replicator.compact.streams import Kept
from replicator.debezium.transactions import Commits
from replicator.restore.fold.survivors import READ
from replicator.restore.segments.records import LSN, XID


class Epochs:
    """Numbers the spans between logged commands up to a cut; a command's own transaction is one by itself.

    `known` has the first commit of each span that the segments of an older base are of, by their keys.
    """

    def __init__(
        self, commits: Commits, ddl: Iterable[int], last: int, known: Mapping[str, int] | None = None
    ) -> None:
        self._commits = commits
        self._ddl = np.array(sorted({number for number in ddl if 0 < number <= last}), np.int64)
        self._last = last
        self._known = known or {}

    def of(self, kept: Kept) -> Any:
        """The span's number of each record; they grow with the offsets."""
        chunk, frame = kept.chunk, kept.frame
        if frame.of_base:
            # Small segments are read as one; which of them a record is of, its number among all tells.
            members = frame.members or (frame,)
            ends = np.cumsum([member.fetched.header.count for member in members])
            known = np.array([self._known[member.key] for member in members])
            numbers = known[np.searchsorted(ends, chunk.rows, "right")] if len(members) > 1 else known[0]
            numbers = np.broadcast_to(numbers, len(chunk.rows))
        else:
            numbers = self._commits.numbers(chunk.values(XID), chunk.values(LSN))
            numbers = np.where(chunk.operations() == READ, 0, numbers)
        return np.searchsorted(self._ddl, numbers, "left") + np.searchsorted(self._ddl, numbers, "right")

    def bounds(self, span: int) -> tuple[int, int]:
        """The first and the last commit of a span."""
        before, within = divmod(span, 2)
        if within:
            return int(self._ddl[before]), int(self._ddl[before])
        first = int(self._ddl[before - 1]) + 1 if before else 0
        return first, int(self._ddl[before]) - 1 if before < len(self._ddl) else self._last
