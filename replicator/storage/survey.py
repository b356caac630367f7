"""What a destination really does, by trying: the table that `replicator doctor` prints."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar, runtime_checkable

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import ObjectInfo, ObjectStore
from replicator.storage.probing import PROBES

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Facts:
    """What only a provider's own calls tell; None where it doesn't say, or the credentials may not ask."""

    encryption: str | None = None
    """What the server says of an object that was just put, as it is, not as it was asked for."""
    versioning: bool | None = None
    object_lock: bool | None = None
    location: str | None = None


@runtime_checkable
class Described(Protocol):
    """A store that can tell more of itself than the port asks for."""

    def pages(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """What the server lists, in its order, whether or not it heeds `start_after`."""
        ...

    def facts(self, key: str) -> Facts:
        """Of the bucket, and of the object of that key."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen. Seconds are of a body of 4 KiB."""

    create_if_absent: str
    refuses_wrong_checksum: bool
    ranges: bool
    lists_after: bool
    """False: the adapter reads a listing from the beginning and drops what isn't wanted."""
    lists_sha256: bool
    checksums: tuple[str, ...]
    storage_class: str | None
    encryption: str | None
    versioning: bool | None
    object_lock: bool | None
    location: str | None
    put_s: float
    get_s: float
    list_s: float
    delete_s: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def asked(ask: Callable[[], _T]) -> _T | None:
    """The answer; None where the store doesn't know the question, or these credentials may not ask it."""
    try:
        return ask()
    except StorageError as error:
        if error.retryable:
            raise
        return None


def survey(store: ObjectStore) -> Survey:
    """Write, read, list and delete two small objects below `v1/probe/`, and ask what the store says of them.

    Raises the step's own `StorageError`, or CORRUPT when what comes back isn't what was written.
    """
    capabilities = store.capabilities
    body = os.urandom(4096)
    sha256 = hashlib.sha256(body).hexdigest()
    common = f"{PROBES}{sha256[:32]}"
    first, second = f"{common}-1", f"{common}-2"
    times = [time.monotonic()]
    store.put(first, body, sha256=sha256)
    times.append(time.monotonic())
    try:
        same = store.get(first) == body
        times.append(time.monotonic())
        store.put(second, body, sha256=sha256)
        began = time.monotonic()
        listed = list(store.list(common))
        list_s = time.monotonic() - began
        after = [info.key for info in store.list(common, start_after=first)]
        if not same or [(info.key, info.size) for info in listed] != [(first, 4096), (second, 4096)]:
            what = "other bytes came back than were written" if not same else f"the listing gave {listed}"
            raise StorageError(f"The probe {first} failed: {what}.", kind=ErrorKind.CORRUPT)
        if after != [second]:
            raise StorageError(f"The probe {first} failed: after it came {after}.", kind=ErrorKind.CORRUPT)
        info = store.head(first)
        if info.sha256 != sha256:
            raise StorageError(
                f"The probe {first} failed: its SHA-256 is {info.sha256 or 'lost'}.", kind=ErrorKind.CORRUPT
            )
        ranges = store.get(first, start=100, end=200) == body[100:200]
        facts, heeds = Facts(), True
        if isinstance(store, Described):
            facts = store.facts(first)
            # The start may be inclusive: what must not come is anything before it.
            heeds = first not in [each.key for each in store.pages(common, second)]
    finally:
        store.delete(second)
        began = time.monotonic()
        store.delete(first)
        delete_s = time.monotonic() - began
    put_s, get_s = (later - earlier for earlier, later in pairwise(times))
    return Survey(
        capabilities.create_if_absent.value,
        capabilities.refuses_wrong_checksum,
        ranges,
        heeds,
        listed[0].sha256 is not None,
        tuple(sorted(info.checksums)),
        info.storage_class,
        facts.encryption,
        facts.versioning,
        facts.object_lock,
        facts.location,
        put_s,
        get_s,
        list_s,
        delete_s,
    )
