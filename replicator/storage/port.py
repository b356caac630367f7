"""The narrow port that every destination is reached through: put, get, head, list, delete.

What a provider can do is a value (`Capabilities`), not a subclass. Retries, limits and metrics are wrappers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol


class PutResult(Enum):
    """What a put found."""

    CREATED = "created"
    EXISTED = "existed"
    """The key was there already and was left as it was; harmless for names that hold their content's hash."""


class CreateIfAbsent(Enum):
    """How far a store keeps a key from being written twice."""

    ATOMIC = "atomic"
    """Of two writers in a race one creates; the other is told that the key exists."""
    CHECKED = "checked"
    """The store ignores or refuses the condition: a head before the put; a race ends with either body."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store was seen to do, partly by probing it."""

    create_if_absent: CreateIfAbsent
    refuses_wrong_checksum: bool
    """Whether the store itself compares a body with the checksum sent beside it."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object: its key below the destination's prefix, its size in bytes, and what else the store knows.

    `sha256` is lowercase hex of the whole body: as the store computed it, or as it was sent beside the body.
    None where only a head would tell (most listings), or where the store lost it. `storage_class` is the
    provider's own word, None where the store has no classes or doesn't say. `checksums` are those that the
    store computed from the bytes themselves, lowercase hex by algorithm (md5, sha1, sha256, crc32c), as far
    as it tells.
    """

    key: str
    size: int
    sha256: str | None
    modified: datetime | None
    storage_class: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)


class ObjectStore(Protocol):
    """A flat space of immutable objects. Keys are relative to the destination's prefix.

    Every method raises `StorageError`, whose kind says what that means. Safe to share between threads.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do; the first call may ask the store."""
        ...

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """Store the whole body durably under the key; all of it or nothing is ever seen.

        `sha256` is the body's, in lowercase hex; a body that doesn't match it is CORRUPT and isn't stored.
        With `if_absent` an existing object is left alone and EXISTED is returned.
        """
        ...

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes `[start, end)`; an end beyond the object's is cut to it, a start beyond it gives nothing.

        NOT_FOUND without the key; TRANSIENT when fewer bytes arrived than the store announced.
        """
        ...

    def head(self, key: str) -> ObjectInfo:
        """What the store knows of the object; NOT_FOUND without the key."""
        ...

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """The objects whose key begins with the prefix, after `start_after`, in the order of UTF-8 bytes."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def close(self) -> None:
        """Release connections; the store isn't used afterwards."""
        ...
