"""What a bucket does when asked, not what its maker says: learned once, from two small requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import Capabilities, CreateIfAbsent

PROBES = "v1/probe/"
"""Where probes are: objects below it hold nothing of value, are never locked, and may be deleted."""

_BODY = b"replicator: written once to learn what this store does\n"


class Probe:
    """A store's capabilities. Safe to share between threads; those that come while it asks wait for it.

    What one call learned before it failed, the next one doesn't ask again: a store that refuses every other
    request is known after a few retries, not never.
    """

    def __init__(
        self,
        create: Callable[[str, bytes], None] | None,
        send_wrong: Callable[[str, bytes], None],
        *,
        unsupported: Container[str] = (),
    ) -> None:
        """`create` puts if absent, None where the API has no such condition; `send_wrong` puts with the
        checksum of another body.

        `unsupported` are the codes by which a store says that it doesn't know the condition.
        """
        self._create = create
        self._send_wrong = send_wrong
        self._unsupported = unsupported
        self._lock = threading.Lock()
        self._created = False
        """Whether it was put once: who lets it be put again has no such condition."""
        self._creation_is: CreateIfAbsent | None = None
        self._found: Capabilities | None = None

    def capabilities(self) -> Capabilities:
        """What was found, by the first call; it leaves small objects below `PROBES`."""
        with self._lock:
            if self._creation_is is None:
                self._creation_is = self._creation()
            if self._found is None:
                self._found = Capabilities(self._creation_is, self._checksum())
            return self._found

    def _creation(self) -> CreateIfAbsent:
        # The object stays: later starts learn it from one refused request, and need no right to delete.
        if self._create is None:
            return CreateIfAbsent.CHECKED
        while True:
            try:
                self._create(f"{PROBES}create-if-absent", _BODY)
            except StorageError as error:
                if error.kind is ErrorKind.EXISTS:
                    return CreateIfAbsent.ATOMIC
                if error.code in self._unsupported:
                    return CreateIfAbsent.CHECKED
                raise
            if self._created:
                return CreateIfAbsent.CHECKED
            self._created = True

    def _checksum(self) -> bool:
        try:
            self._send_wrong(f"{PROBES}checksum", _BODY)
        except StorageError as error:
            if error.kind is ErrorKind.CORRUPT:
                return True
            if error.retryable or error.kind is ErrorKind.AUTH:
                raise
        return False
