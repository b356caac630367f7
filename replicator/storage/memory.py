"""A store in memory for unit tests. It passes the same contract suite as the real ones, or it would lie.

Faults are injected by `fail`: the next calls of an operation raise what they are told to.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import Capabilities, CreateIfAbsent, ObjectInfo, PutResult

Operation = Literal["put", "get", "head", "list", "delete"]


@dataclass(frozen=True, slots=True)
class _Stored:
    body: bytes
    sha256: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class _Fault:
    error: StorageError
    after: bool


class MemoryStore:
    """Objects in a dictionary. Safe to share between threads."""

    capabilities = Capabilities(CreateIfAbsent.ATOMIC, refuses_wrong_checksum=True)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, _Stored] = {}
        self._order: list[bytes] = []
        self._faults: defaultdict[str, deque[_Fault]] = defaultdict(deque)
        self.calls: list[tuple[Operation, str]] = []

    def fail(self, operation: Operation, error: StorageError, *, times: int = 1, after: bool = False) -> None:
        """The next `times` calls raise the error: instead of acting, or `after` it, as a lost answer does."""
        with self._lock:
            self._faults[operation].extend([_Fault(error, after)] * times)

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port."""
        with self._lock:
            fault = self._begin("put", key)
            if hashlib.sha256(body).hexdigest() != sha256:
                raise StorageError(f"memory: PUT {key}: wrong checksum.", kind=ErrorKind.CORRUPT)
            existed = key in self._objects
            if not (existed and if_absent):
                if not existed:
                    insort(self._order, key.encode())
                self._objects[key] = _Stored(bytes(body), sha256, datetime.now(UTC))
            _raise(fault)
            return PutResult.EXISTED if existed and if_absent else PutResult.CREATED

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port."""
        with self._lock:
            fault = self._begin("get", key)
            body = self._found("GET", key).body[start or 0 : end]
            _raise(fault)
            return body

    def head(self, key: str) -> ObjectInfo:
        """See the port."""
        with self._lock:
            fault = self._begin("head", key)
            stored = self._found("HEAD", key)
            _raise(fault)
            return ObjectInfo(key, len(stored.body), stored.sha256, stored.modified)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port."""
        with self._lock:
            fault = self._begin("list", prefix)
            first = bisect_left(self._order, prefix.encode())
            if start_after:
                first = max(first, bisect_right(self._order, start_after.encode()))
            found = []
            for name in self._order[first:]:
                if not name.startswith(prefix.encode()):
                    break
                stored = self._objects[name.decode()]
                found.append(ObjectInfo(name.decode(), len(stored.body), None, stored.modified))
        yield from found
        _raise(fault)

    def delete(self, key: str) -> None:
        """See the port."""
        with self._lock:
            fault = self._begin("delete", key)
            if self._objects.pop(key, None) is not None:
                self._order.remove(key.encode())
            _raise(fault)

    def close(self) -> None:
        """See the port."""

    def damage(self, key: str, body: bytes) -> None:
        """Replace an object's bytes behind everybody's back, as a failing disk would; its checksum stays."""
        with self._lock:
            self._objects[key] = _Stored(body, self._objects[key].sha256, self._objects[key].modified)

    def _begin(self, operation: Operation, key: str) -> _Fault | None:
        self.calls.append((operation, key))
        fault = self._faults[operation].popleft() if self._faults[operation] else None
        if fault is not None and not fault.after:
            raise fault.error
        return fault

    def _found(self, operation: str, key: str) -> _Stored:
        try:
            return self._objects[key]
        except KeyError:
            raise StorageError(
                f"memory: {operation} {key}: no such object.", kind=ErrorKind.NOT_FOUND
            ) from None


def _raise(fault: _Fault | None) -> None:
    if fault is not None:
        raise fault.error
