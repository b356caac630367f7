"""Looks at streamed events while a restore is planned: how far a destination is complete, and exact times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from replicator.debezium import envelope, names
from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import Commits
from replicator.errors import IntegrityError
from replicator.restore.moment import proof
from replicator.restore.moment.edges import Edges
from replicator.restore.segments.catalog import Catalog, ChainPieces, Piece
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.frames import frames
from replicator.restore.segments.records import LSN, OFFSET, OP, XID, Chunk, Scanner

OUR_LOGS = ("replicator.ddl_log", "replicator.sequence_log")
MARKS = "replicator.mark_log"
_WINDOW = 64
"""Commits that are looked at first; where some of them lack events, four times as many before those."""
_MICROS = ("value", "source", "ts_us")


class Events:
    """The streamed events of an installation's tables in one destination."""

    def __init__(
        self,
        fetcher: Fetcher,
        catalog: Catalog,
        installation: str,
        commits: Commits,
        is_captured: Callable[[str, str], bool],
    ) -> None:
        self._fetcher = fetcher
        self._catalog = catalog
        self._installation = installation
        self._commits = commits
        self._is_captured = is_captured
        self._highest: dict[Piece, int] = {}

    def highest(self, piece: Piece) -> int | None:
        """The newest commit in the piece; None when it was not read, or holds some that have not ended."""
        return self._highest.get(piece)

    def exact_micros(self, number: int) -> int:
        """A commit's time in microseconds from one of its events: END knows milliseconds only."""
        commits = self._commits
        commit = commits[number]
        for collection in commits.counts_of(number):
            for chain in self._chains(collection):
                edge = Edges(self._fetcher, commits, number).plan(chain)
                for chunk in self._streamed(edge.pieces[-1:]):
                    own = commits.numbers(chunk.values(XID), chunk.values(LSN)) == number
                    if own.any():
                        return int(chunk.values(_MICROS)[own][0])
        raise IntegrityError(
            f"No event of {commit} is stored, and whether it is before or after the target, inside one "
            "millisecond, "
            "can't be told without one.",
            next_step=f"name it by its transaction: --to-xid {commit.xid} includes it, --to-lsn "
            f"{lsn_text(commit.end - 1)} doesn't",
        )

    def _streamed(self, pieces: Sequence[Piece]) -> Iterator[Chunk]:
        for chunk in Scanner(OP, XID, LSN, _MICROS).joined(frames(self._fetcher.fetch(pieces))):
            yield chunk.keep(chunk.operations() != ord(envelope.READ))

    def complete_until(self, last: int) -> int:
        """The last commit up to which every table has all events that END counts, found from the end
        backwards.
        """
        commits, window = self._commits, _WINDOW
        touched = [
            collection
            for collection in commits.collections()
            if collection in OUR_LOGS or self._is_captured(*collection.split(".", 1))
        ]
        while last >= commits.first:
            first = max(commits.first, last - window + 1)
            count = partial(self._counts_since, first, last)
            with ThreadPoolExecutor(self._fetcher.workers(4), "counts") as pool:
                found = dict(zip(touched, pool.map(count, touched), strict=True))
            deficit = proof.first_deficit(commits, first, last, found)
            if deficit is None:
                return last
            if deficit > first or first == commits.first:
                return deficit - 1
            last, window = first - 1, window * 4
        return last

    def _counts_since(self, first: int, last: int, collection: str) -> dict[int, int]:
        commits = self._commits
        counts: dict[int, int] = {}
        for chain in self._chains(collection):
            before = Edges(self._fetcher, commits, first - 1).plan(chain)
            until = Edges(self._fetcher, commits, last).plan(chain)
            since = until.pieces[max(len(before.pieces) - 1, 0) :]
            if not since:
                continue
            starts = np.array([piece.start for piece in since])
            highest = np.zeros(len(since), np.int64)
            for chunk in self._streamed(since):
                xids = chunk.values(XID)
                numbers = commits.numbers(xids, chunk.values(LSN))
                places = np.searchsorted(starts, chunk.values(OFFSET), "right") - 1
                np.maximum.at(highest, places, np.where(numbers == 0, len(commits) + 1, numbers))
                within = xids[(numbers >= first) & (numbers <= last)]
                for xid, count in zip(*np.unique(within, return_counts=True), strict=True):
                    counts[int(xid)] = counts.get(int(xid), 0) + int(count)
            newest = zip(since, highest.tolist(), strict=True)
            self._highest |= {piece: number for piece, number in newest if number <= len(commits)}
        return counts

    def _chains(self, collection: str) -> tuple[ChainPieces, ...]:
        return self._catalog.topic(names.topic(self._installation, *collection.split(".", 1)))
