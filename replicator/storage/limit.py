"""A bound on the requests that a store has under way, around any store."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from replicator.storage.port import Capabilities, ObjectInfo, ObjectStore, PutResult


class LimitedStore:
    """A store that is asked at most `most` things at a time; further callers wait."""

    def __init__(self, store: ObjectStore, most: int) -> None:
        self._store = store
        self._places = threading.BoundedSemaphore(most)

    @property
    def capabilities(self) -> Capabilities:
        """See the port."""
        with self._places:
            return self._store.capabilities

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port."""
        with self._places:
            return self._store.put(key, body, sha256=sha256, if_absent=if_absent)

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port."""
        with self._places:
            return self._store.get(key, start=start, end=end)

    def head(self, key: str) -> ObjectInfo:
        """See the port."""
        with self._places:
            return self._store.head(key)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port. A page takes a place while it is fetched, not while its objects are worked on."""
        found = self._store.list(prefix, start_after=start_after)
        while True:
            with self._places:
                info = next(found, None)
            if info is None:
                return
            yield info

    def delete(self, key: str) -> None:
        """See the port."""
        with self._places:
            self._store.delete(key)

    def close(self) -> None:
        """See the port."""
        self._store.close()
