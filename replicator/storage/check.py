"""Whether a store holds what it was given."""

from __future__ import annotations

import hashlib

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import ObjectStore


def refuse_mismatch(body: bytes, sha256: str, what: str) -> None:
    """CORRUPT, about `what`, unless the body has that SHA-256: where the store compares none or another."""
    if hashlib.sha256(body).hexdigest() != sha256:
        raise StorageError(
            f"{what}: the body doesn't match its checksum; nothing was stored.", kind=ErrorKind.CORRUPT
        )


def confirm(store: ObjectStore, key: str, *, size: int, sha256: str) -> None:
    """CORRUPT unless length and checksum, as the store knows them, are these; NOT_FOUND without the object.

    `sha256` may be a beginning of the digest, as it is in a segment's name. Stores send no body for it.
    """
    info = store.head(key)
    if info.size != size or (info.sha256 is not None and not info.sha256.startswith(sha256)):
        raise StorageError(
            f"{key} is there with {info.size} bytes and SHA-256 {info.sha256 or 'unknown'}, "
            f"but {size} bytes and {sha256} were meant.",
            kind=ErrorKind.CORRUPT,
            next_step="keep the object for examination under another key, and delete this one",
        )


def fetch(store: ObjectStore, key: str, *, sha256: str) -> bytes:
    """The whole object; CORRUPT when its bytes don't have that SHA-256 (a beginning of it is enough)."""
    body = store.get(key)
    found = hashlib.sha256(body).hexdigest()
    if not found.startswith(sha256):
        raise StorageError(
            f"{key} holds {len(body)} bytes with SHA-256 {found[: len(sha256)]}, but its own is {sha256}: "
            "it was truncated or altered after it was written.",
            kind=ErrorKind.CORRUPT,
            next_step="restore from another destination that has this range; keep this object as evidence",
        )
    return body
