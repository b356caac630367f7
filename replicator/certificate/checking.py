"""A certificate held against the destinations: whether what the restore read is still there, unaltered."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from replicator.certificate.certificate import Certificate, ReadObject
from replicator.certificate.rolled_up import RolledUp
from replicator.segment.name import SegmentName
from replicator.storage import ErrorKind, ObjectInfo, ObjectStore, StorageError


class Trouble(StrEnum):
    """What can be wrong with what a certificate names."""

    GONE = "gone"
    """No destination that was asked has the object."""
    ALTERED = "altered"
    """It is there with other bytes."""
    INCOMPLETE = "incomplete"
    """The objects that are named don't give all offsets that the result needed."""
    CONTRADICTED = "contradicted"
    """The certificate says two things of one object."""


@dataclass(slots=True)
class Verdict:
    """How a certificate stands against the destinations; `found` has what is wrong, in words.

    `elsewhere` counts objects that their own source no longer has and another destination does; `read` are
    bytes that were read to be hashed.
    """

    objects: int
    size: int
    deep: bool
    asked: tuple[str, ...]
    elsewhere: int = 0
    rolled_up: int = 0
    """Objects that are gone and were made again, byte for byte, of the large segment that they are in now."""
    read: int = 0
    found: list[tuple[Trouble, str, str]] = field(default_factory=list)
    """What is wrong, with which object or chain, and in words."""

    @property
    def stands(self) -> bool:
        """Whether everything that the restore read is still to be had, as it was."""
        return not self.found

    def as_json(self) -> dict[str, Any]:
        """For scripts; sizes in bytes."""
        return {
            "stands": self.stands,
            "objects": self.objects,
            "bytes": self.size,
            "deep": self.deep,
            "asked": list(self.asked),
            "elsewhere": self.elsewhere,
            "rolled_up": self.rolled_up,
            "bytes_read": self.read,
            "found": [{"trouble": str(kind), "what": what, "why": why} for kind, what, why in self.found],
        }


def check(
    certificate: Certificate,
    stores: Mapping[str, ObjectStore],
    *,
    deep: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """Whether each object is in one of the stores with the bytes that were read, and they are all of them.

    Asks the listing, and for each object the checksum that the store keeps; bytes are read with `deep`, and
    where there is no checksum. `advance` is told of each object's bytes. `StorageError` when a store doesn't
    answer, which says nothing about the certificate.
    """
    verdict = Verdict(len(certificate.objects), certificate.size, deep, tuple(stores))
    for one in certificate.objects:
        name = SegmentName.parse(one.key)
        if name is not None and not one.sha256.startswith(name.sha256_16):
            why = f"its name says {name.sha256_16}…, the certificate {one.sha256[:16]}…"
            verdict.found.append((Trouble.CONTRADICTED, one.key, why))
    for needed, lost in certificate.lacking():
        why = f"offsets {lost} of {needed.first} to {needed.next - 1} are in no object that it names"
        verdict.found.append((Trouble.INCOMPLETE, str(needed), why))
    listed = {name: _listed(store, certificate.objects) for name, store in stores.items()}
    rolled = {name: RolledUp(store, listed[name]) for name, store in stores.items()}

    def look(one: ReadObject) -> tuple[bool, int, tuple[Trouble, str, str] | None]:
        moved, read, trouble = _look(one, stores, listed, deep)
        if trouble is not None and any(each.gives(one) for each in rolled.values()):
            verdict.rolled_up += 1
            trouble = None
        advance(one.size)
        return moved, read, trouble

    with ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1)), "check") as pool:
        for moved, read, trouble in pool.map(look, certificate.objects):
            verdict.elsewhere += moved
            verdict.read += read
            if trouble is not None:
                verdict.found.append(trouble)
    return verdict


def _listed(store: ObjectStore, objects: Iterable[ReadObject]) -> dict[str, ObjectInfo]:
    """What the store lists of every folder that any of the objects is in."""
    folders = sorted({one.key.rpartition("/")[0] + "/" for one in objects})
    return {info.key: info for folder in folders for info in store.list(folder)}


def _look(
    one: ReadObject,
    stores: Mapping[str, ObjectStore],
    listed: Mapping[str, Mapping[str, ObjectInfo]],
    deep: bool,
) -> tuple[bool, int, tuple[Trouble, str, str] | None]:
    """Whether it is only elsewhere, how many bytes were read, and what is wrong with it."""
    order = sorted((name for name in stores if one.key in listed[name]), key=lambda name: name != one.source)
    read, wrong = 0, []
    for name in order:
        info = listed[name][one.key]
        why, more = _differs(one, stores[name], info, deep)
        read += more
        if why is None:
            return name != one.source and one.source in stores, read, None
        wrong.append(f"{name}: {why}")
    if wrong:
        return False, read, (Trouble.ALTERED, one.key, "; ".join(wrong))
    return False, read, (Trouble.GONE, one.key, f"it was read from {one.source}; asked: {', '.join(stores)}")


def _differs(one: ReadObject, store: ObjectStore, info: ObjectInfo, deep: bool) -> tuple[str | None, int]:
    """How the stored object differs from the one that was read, None if it doesn't; and the bytes read."""
    if info.size != one.size:
        return f"it has {info.size} bytes, and {one.size} were read", 0
    try:
        told = info.sha256
        if told is None and not deep:
            told = store.head(one.key).sha256
        read = 0
        if told is None or deep:
            body = store.get(one.key)
            told, read = hashlib.sha256(body).hexdigest(), len(body)
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return "it was listed, and is gone now", 0
        if error.kind is ErrorKind.CORRUPT:
            return error.message, 0
        raise
    if told != one.sha256:
        return f"its bytes hash to {told[:16]}…, and {one.sha256[:16]}… was read", read
    return None, read
