"""One object from a destination into another, verified on its way, and damaged ones kept aside.

Every function may be called again after a crash at any instruction: what it did is found done.
"""

from __future__ import annotations

import hashlib
import json
from enum import Enum

from replicator.errors import IntegrityError
from replicator.segment.name import SegmentName
from replicator.storage import ErrorKind, ObjectStore, StorageError
from replicator.storage.check import confirm
from replicator.verify import places
from replicator.verify.holdings import DAMAGED
from replicator.verify.inspection import diagnose

_GONE = (ErrorKind.NOT_FOUND, ErrorKind.AUTH, ErrorKind.FATAL, ErrorKind.CORRUPT)


class SourceDamagedError(IntegrityError):
    """The source's own copy can't be used; another source may have a good one."""


class Aside(Enum):
    """What became of a damaged object."""

    KEPT = "kept"
    SOUND = "sound"
    """It isn't damaged (any more)."""
    GONE = "gone"
    UNREADABLE = "unreadable"
    """Nobody can read it, so only a note of it is kept."""


def segment(source: ObjectStore, target: ObjectStore, name: SegmentName, *, over: bool = False) -> int:
    """Copy a segment; its size in bytes. With `over` whatever is there under its name is written over.

    The bytes are compared with the name, header and frame before they are written, and the target's length
    and checksum with them afterwards. `SourceDamagedError` when the source can't give them; `StorageError`
    of the target, CORRUPT when it doesn't hold what it was given.
    """
    key = name.key()
    try:
        body = source.get(key)
    except StorageError as error:
        if error.kind in _GONE:
            raise SourceDamagedError(f"{key} can't be read there: {error.message}") from error
        raise
    digest = hashlib.sha256(body).hexdigest()
    if digest[:16] != name.sha256_16:
        _, detail = diagnose(name, body, digest)
        raise SourceDamagedError(f"{key} is damaged there: {detail}.")
    try:
        places.check(name, body)
    except IntegrityError as error:
        raise SourceDamagedError(error.message) from error
    _put(target, key, body, digest, over=over)
    return len(body)


def again(target: ObjectStore, name: SegmentName) -> int:
    """Write a segment again as it is, so that it gets its checksum and its class; its size in bytes."""
    return segment(target, target, name, over=True)


def plain(source: ObjectStore, target: ObjectStore, key: str, *, over: bool = False) -> int:
    """Copy an object that isn't a segment; its size in bytes."""
    body = source.get(key)
    _put(target, key, body, hashlib.sha256(body).hexdigest(), over=over)
    return len(body)


def aside(target: ObjectStore, key: str, sha256_16: str | None) -> Aside:
    """Keep what is under the key below `v1/damaged/`, durably; the object itself stays where it is.

    `sha256_16` is what its bytes should hash to, None where that isn't known. The copy's key ends in the
    hash of what was found: doing it twice makes one copy.
    """
    kept = f"{DAMAGED}{key.removeprefix('v1/')}"
    try:
        body = target.get(key)
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return Aside.GONE
        if not error.retryable or error.kind is ErrorKind.CORRUPT:
            note = json.dumps({"key": key, "error": error.message}).encode()
            _put(target, f"{kept}.unreadable.json", note, hashlib.sha256(note).hexdigest(), over=True)
            return Aside.UNREADABLE
        raise
    digest = hashlib.sha256(body).hexdigest()
    if sha256_16 is not None and digest[:16] == sha256_16:
        return Aside.SOUND
    _put(target, f"{kept}.{digest[:16]}", body, digest)
    return Aside.KEPT


def _put(target: ObjectStore, key: str, body: bytes, digest: str, *, over: bool = False) -> None:
    target.put(key, body, sha256=digest, if_absent=not over)
    try:
        confirm(target, key, size=len(body), sha256=digest)
    except StorageError as error:
        if error.kind is not ErrorKind.CORRUPT or over:
            raise
        # Something else was there under the name; a name that holds its content's hash is for this content.
        target.put(key, body, sha256=digest, if_absent=False)
        confirm(target, key, size=len(body), sha256=digest)
