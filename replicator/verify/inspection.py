"""One segment looked at: by what the store says of it, by its two ends, or by every byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TypeVar

from replicator.errors import IntegrityError
from replicator.segment import read
from replicator.segment.container import LeftOut
from replicator.segment.name import SegmentName
from replicator.segment.read import TruncatedError
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import ObjectInfo, ObjectStore
from replicator.verify import places
from replicator.verify.findings import Finding, Kind
from replicator.verify.holdings import Held

_BEGINNING = 64 * 2**10
_SYNC = 16
_T = TypeVar("_T")


class Depth(Enum):
    """How far verification looks."""

    NAMES = "names"
    """The listing, and what the store says of each object; from a directory each file's two ends."""
    BYTES = "bytes"
    """Every byte is read and hashed, and the container's frame followed from block to block."""
    RECORDS = "records"
    """Every block is decompressed too, and every record's offset looked at."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What looking at one segment gave; `size` is how many of its bytes were read."""

    held: Held
    findings: tuple[Finding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    size: int = 0


@dataclass(slots=True)
class _Look:
    """What one segment has shown so far."""

    held: Held
    findings: list[Finding] = field(default_factory=list)
    size: int = 0

    def found(self, kind: Kind, detail: str) -> None:
        name = self.held.name
        self.findings.append(Finding(kind, detail, name.key(), name.chain, name.first, name.next))


class Inspector:
    """Looks at segments of one destination; safe to share between threads.

    `keeps_checksums` says that the store keeps each object's SHA-256 beside it and a head is cheap; a
    directory has neither. `storage_class` is the one that objects should have, None for any.
    """

    def __init__(
        self, store: ObjectStore, *, keeps_checksums: bool = True, storage_class: str | None = None
    ) -> None:
        self._store = store
        self._keeps_checksums = keeps_checksums
        self._storage_class = storage_class

    def inspect(self, held: Held, depth: Depth) -> Inspected:
        """What is wrong with the segment, as far as `depth` shows; what looks wrong is read whole.

        `StorageError` when the destination doesn't answer at all, which says nothing about the segment.
        """
        look = _Look(held)
        left_out: tuple[LeftOut, ...] = ()
        try:
            whole: str | None = None
            suspicion = None
            if self._keeps_checksums:
                info = self._readable(self._store.head, held.name.key())
                self._check_class(look, info)
                whole = info.sha256
                suspicion = _suspicion(held, info)
            elif depth is Depth.NAMES:
                suspicion = self._ends(look)
            if depth is not Depth.NAMES or suspicion is not None:
                left_out = self._read(look, whole, depth)
        except _Unreadable as error:
            look.found(error.kind, error.detail)
        return Inspected(held, tuple(look.findings), left_out, look.size)

    def _check_class(self, look: _Look, info: ObjectInfo) -> None:
        found = look.held.storage_class or info.storage_class
        if self._storage_class is not None and found not in (None, self._storage_class):
            look.found(Kind.WRONG_CLASS, f"it lies in class {found}, not in {self._storage_class}")

    def _ends(self, look: _Look) -> str | None:
        """Why header and end don't fit together; None if they do. Both are a few reads, whatever the size."""
        held, key = look.held, look.held.name.key()
        size = _BEGINNING
        while True:
            beginning = self._readable(partial(self._store.get, start=0, end=size), key)
            look.size += len(beginning)
            try:
                opened = read.open_header(beginning, key)
                break
            except TruncatedError:
                if size >= held.size:
                    return "its header is not whole"
                size *= 4
            except IntegrityError as error:
                return error.message
        if places.disagreement(held.name, opened.header) is not None:
            return "its header is another segment's"
        if opened.header.count == 0:
            return None if held.size == opened.blocks_at else "it goes on after its header"
        start = max(held.size - _SYNC, 0)
        end = self._readable(partial(self._store.get, start=start, end=held.size), key)
        look.size += len(end)
        return None if end == opened.sync else "its end is not the end of a block"

    def _read(self, look: _Look, whole: str | None, depth: Depth) -> tuple[LeftOut, ...]:
        name = look.held.name
        body = self._readable(self._store.get, name.key())
        look.size += len(body)
        digest = hashlib.sha256(body).hexdigest()
        if digest[:16] != name.sha256_16:
            kind, detail = diagnose(name, body, digest)
            look.found(kind, detail)
            return ()
        if self._keeps_checksums and whole != digest:
            told = "no SHA-256 is stored beside it" if whole is None else f"the store notes SHA-256 {whole}"
            look.found(Kind.METADATA_LOST, f"its bytes are right ({digest}), and {told}")
        try:
            header = places.check(name, body)
            if depth is Depth.RECORDS and header.count:
                from replicator.verify import decoding

                decoding.check(name, body, header)
        except IntegrityError as error:
            # The name is right about the bytes, so they were never a segment: not the store's doing.
            look.found(Kind.ALTERED, f"{error.message} Its bytes are what was stored under this name")
            return ()
        return header.left_out

    def _readable(self, ask: Callable[[str], _T], key: str) -> _T:
        try:
            return ask(key)
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise _Unreadable(Kind.MISSING, "it was listed, and is gone now") from error
            if error.kind in (ErrorKind.AUTH, ErrorKind.FATAL, ErrorKind.CORRUPT):
                raise _Unreadable(Kind.UNREADABLE, error.message) from error
            raise


class _Unreadable(Exception):  # noqa: N818  # not an error of the program: a finding on its way
    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def _suspicion(held: Held, info: ObjectInfo) -> str | None:
    if info.size != held.size:
        return "listing and head tell different sizes"
    if info.sha256 is None:
        return "no checksum is stored"
    if not info.sha256.startswith(held.name.sha256_16):
        return "the stored checksum is another"
    return None


def diagnose(name: SegmentName, body: bytes, digest: str) -> tuple[Kind, str]:
    """Whether bytes that don't hash to the name are a part of a segment or other bytes, and in words."""
    told = f"{len(body)} bytes with SHA-256 {digest[:16]}…, not {name.sha256_16}…"
    try:
        opened = read.open_header(body, "it")
        count = sum(block.count for block in read.blocks(body, opened, "it"))
    except TruncatedError as error:
        # A length that was altered seems to lead beyond the end; the end itself tells the two apart.
        if len(body) > _SYNC and _ends_as_a_block(body):
            return Kind.ALTERED, told
        return Kind.SHORT, f"{error.message.rstrip('.')} ({told})"
    except IntegrityError:
        return Kind.ALTERED, told
    if count < opened.header.count and places.disagreement(name, opened.header) is None:
        return Kind.SHORT, f"it ends after {count} of {opened.header.count} records ({told})"
    other = places.disagreement(name, opened.header)
    return Kind.ALTERED, f"{other} ({told})" if other else told


def _ends_as_a_block(body: bytes) -> bool:
    try:
        return body.endswith(read.open_header(body, "it").sync)
    except IntegrityError:
        return False
