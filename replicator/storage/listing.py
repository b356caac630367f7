"""The order of a listing: the catalog rests on it, so no store is taken at its word."""

from __future__ import annotations

from collections.abc import Iterator

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import ObjectInfo


def in_order(found: Iterator[ObjectInfo], doing: str, start_after: str | None) -> Iterator[ObjectInfo]:
    """The objects after `start_after`; FATAL for a store that lists out of the order of UTF-8 bytes.

    Chains would seem to have holes. `doing` names bucket, operation and prefix.
    """
    after = (start_after or "").encode()
    last = b""
    for info in found:
        this = info.key.encode()
        if this <= last:
            raise StorageError(
                f"{doing}: {info.key!r} came after {last.decode()!r}.",
                kind=ErrorKind.FATAL,
                next_step="use a bucket that lists in key order (S3's directory buckets don't)",
            )
        last = this
        if this > after:
            yield info
