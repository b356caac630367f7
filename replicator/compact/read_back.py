"""What a compaction stored, as a restore reads it: from the store, compared with its whole hash."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from replicator.bases import BaseChain
from replicator.restore.opening import Limits
from replicator.restore.segments.fetch import Fetched, Fetcher
from replicator.restore.segments.sources import Sources
from replicator.storage import ObjectStore


class ReadBack:
    """Fetches segments of a base that isn't there yet from the one destination that it is made in."""

    def __init__(self, destination: str, store: ObjectStore, limits: Limits) -> None:
        self._destination = destination
        self._sources = Sources([(destination, store)])
        self._folder = Path(tempfile.mkdtemp(prefix="replicator-compact-", dir=limits.scratch))
        self._fetcher = Fetcher(self._sources, self._folder, limits.fetch_threads)

    def fetch(self, chains: Sequence[BaseChain]) -> list[Fetched]:
        """All segments of the chains; raises as `Fetcher.fetch` does."""
        self._sources.add_base(chains, [self._destination])
        return self._fetcher.fetch(piece for chain in chains for piece in chain.pieces)

    def remove(self, fetched: Iterable[Fetched]) -> None:
        """Give the disk space back."""
        self._fetcher.remove(fetched)

    def __enter__(self) -> ReadBack:
        return self

    def __exit__(self, *_: object) -> None:
        self._fetcher.close()
        shutil.rmtree(self._folder, ignore_errors=True)
