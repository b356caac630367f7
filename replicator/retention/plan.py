"""What no promise needs any longer. Pure: listings and manifests in, keys out.

The floor is the newest base that is as old as history has to be kept: with it every later moment can be
restored, so what it stands for, and everything before it, may go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from replicator.bases import Manifest
from replicator.errors import IntegrityError
from replicator.segment.name import SegmentName
from replicator.storage import ObjectInfo

ORPHAN_AGE = timedelta(days=1)
"""What has no manifest for so long is of no compaction that still runs."""


@dataclass(frozen=True, slots=True)
class Group:
    """Objects that go for one reason."""

    what: str
    keys: tuple[str, ...]
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """For scripts; the keys are told by number alone."""
        return {"what": self.what, "objects": len(self.keys), "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class Plan:
    """What would go, in this order; history then begins with `floor`, a base, or with the snapshot (None)."""

    floor: Manifest | None
    bases: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    locked: int = 0
    """Objects that stay because they are under lock."""
    locked_until: datetime | None = None
    """When the last of them isn't any more."""

    @property
    def objects(self) -> int:
        """Objects that would go, manifests included."""
        return len(self.bases) + sum(len(group.keys) for group in self.groups)

    @property
    def size(self) -> int:
        """Bytes that would go."""
        return sum(group.bytes for group in self.groups)


@dataclass(slots=True)
class _Sorting:
    """Groups in the making; what is under lock is only counted."""

    lock: timedelta | None
    now: datetime
    keys: dict[str, list[str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    locked: int = 0
    until: datetime | None = None

    def take(self, what: str, info: ObjectInfo) -> None:
        if self.lock is not None:
            # Without a time nothing says that the lock has ended.
            end = (info.modified or self.now) + self.lock
            if end >= self.now:
                self.locked += 1
                self.until = max(end, self.until or end)
                return
        self.keys.setdefault(what, []).append(info.key)
        self.sizes[what] = self.sizes.get(what, 0) + info.size

    def groups(self, order: Sequence[str]) -> tuple[Group, ...]:
        return tuple(
            Group(what, tuple(self.keys[what]), self.sizes[what]) for what in order if what in self.keys
        )


def floor_of(manifests: Iterable[Manifest], keep_days: float, now: datetime) -> Manifest | None:
    """The newest base whose cut is at least so old; None while there is none."""
    latest = (now - timedelta(days=keep_days)).timestamp() * 1e6
    old = [each for each in manifests if each.latest_micros <= latest]
    return max(old, key=lambda each: (each.lsn, each.commit), default=None)


def plan(
    floor: Manifest | None,
    bases: Sequence[str],
    changes: Iterable[ObjectInfo],
    folded: Sequence[ObjectInfo],
    *,
    lock_days: float | None,
    now: datetime,
) -> Plan:
    """What may go of a destination that lists these bases, change segments and segments of bases.

    `lock_days` is how long an object is under lock from when it was stored. `IntegrityError` when the floor
    lacks one of its own segments: then nothing may go.
    """
    sorting = _Sorting(None if lock_days is None else timedelta(days=lock_days), now)
    older: tuple[str, ...] = ()
    if floor is not None:
        _check_whole(floor, folded)
        older = tuple(base for base in bases if base < floor.id)
        stops = floor.stops
        for info in changes:
            name = SegmentName.parse(info.key)
            if name is None or name.next > stops.get(name.chain, 0):
                continue
            # Whoever needs them reads the transactions first, and is told at once that they are gone.
            first = name.topic == f"{floor.installation}.transaction"
            sorting.take(_TRANSACTIONS if first else _CHANGES, info)
    kept = set(bases) - set(older)
    for info in folded:
        name = SegmentName.parse_folded(info.key)
        if name is None or name.base in kept:
            continue
        if name.base in older:
            sorting.take(_OLDER, info)
        elif (info.modified or now) < now - ORPHAN_AGE:
            sorting.take(_ORPHANS, info)
    groups = sorting.groups((_TRANSACTIONS, _CHANGES, _OLDER, _ORPHANS))
    return Plan(floor, older, groups, sorting.locked, sorting.until)


_TRANSACTIONS = "transactions before the floor"
_CHANGES = "change segments that the floor stands for"
_OLDER = "segments of older bases"
_ORPHANS = "segments of compactions that were ended"


def _check_whole(floor: Manifest, folded: Iterable[ObjectInfo]) -> None:
    sizes = {info.key: info.size for info in folded}
    for chain in floor.chains:
        for segment in chain.segments:
            if sizes.get(segment.key) != segment.size:
                raise IntegrityError(
                    f"The {floor} lacks {segment.key}, or has it with another size: it can't stand for what "
                    "is older, so nothing is removed.",
                    next_step="`replicator compact` makes a new base; find out who altered that one",
                )
