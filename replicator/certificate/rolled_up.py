"""Segments that were rolled up since a certificate named them, made again of the large one."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Mapping

from replicator.certificate.certificate import ReadObject
from replicator.errors import IntegrityError
from replicator.segment import rolled
from replicator.segment.name import Chain, SegmentName
from replicator.storage import ErrorKind, ObjectInfo, ObjectStore, StorageError

_NEAR = 1024
"""A large segment and the small ones that it may still lie beside."""


class RolledUp:
    """What one store's large segments give back. Safe to share between threads."""

    def __init__(self, store: ObjectStore, listed: Mapping[str, ObjectInfo]) -> None:
        self._store = store
        self._names: dict[Chain, list[SegmentName]] = {}
        self._given: dict[SegmentName, dict[str, str]] = {}
        self._lock = threading.Lock()
        for key in listed:
            name = SegmentName.parse(key)
            if name is not None:
                self._names.setdefault(name.chain, []).append(name)
        for names in self._names.values():
            names.sort(key=_place)

    def gives(self, one: ReadObject) -> bool:
        """Whether a segment that the store lists gives the object back with the bytes that were read.

        `StorageError` when the store doesn't answer.
        """
        name = SegmentName.parse(one.key)
        if name is None:
            return False
        names = self._names.get(name.chain, [])
        at = bisect_right(names, _place(name), key=_place)
        near = names[max(0, at - _NEAR) : at + 1]
        return any(
            self._in(large).get(one.key) == one.sha256
            for large in reversed(near)
            if large.first <= name.first and name.next <= large.next and large != name
        )

    def _in(self, large: SegmentName) -> dict[str, str]:
        """The keys of the segments that were rolled up into this one, with their SHA-256."""
        with self._lock:
            if large not in self._given:
                self._given[large] = self._members(large)
            return self._given[large]

    def _members(self, large: SegmentName) -> dict[str, str]:
        try:
            body = self._store.get(large.key())
            if hashlib.sha256(body).hexdigest()[:16] != large.sha256_16:
                return {}
            return {each.name.key(): each.sha256 for each in rolled.members(body, large.key())}
        except IntegrityError:
            return {}
        except StorageError as error:
            if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.CORRUPT):
                return {}
            raise


def _place(name: SegmentName) -> tuple[int, int]:
    return name.first, -name.next
