"""What is worth rolling up, and what was rolled up long enough ago. Pure: a listing in, names out.

A reader takes of two segments the one that lies within the other (docs/format.md). So the large one changes
nothing while the small ones are there, and stands in for each of them as it goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from replicator.segment.name import Chain, SegmentName
from replicator.storage import ObjectInfo

SMALL_BYTES = 32 * 2**10
LARGE_BYTES = 8 * 2**20
FEWEST = 192
"""Of so many, whatever is in them, the numbers that are kept of each make the large one too large to be taken
for a small one; and fewer objects than that aren't worth a second copy of them."""
MOST = 256
"""Each one's numbers are in the large one's header, which readers fetch to find their way."""
TAIL = 16
"""A sink that begins looks at the last segments of a chain; they stay as it left them."""


@dataclass(frozen=True, slots=True)
class Run:
    """Small segments that lie one behind the other."""

    members: tuple[tuple[SegmentName, int], ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(size for _, size in self.members)


@dataclass(frozen=True, slots=True)
class Replaced:
    """A large segment and small ones within its range, with their sizes."""

    large: SegmentName
    size: int
    small: tuple[tuple[SegmentName, int], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`runs` are to be rolled up, the small ones of `replaced` to be removed if they are in the large one.

    `waiting` counts small ones that a large one replaced not long ago, `locked` those that stay for a lock.
    """

    segments: int
    runs: tuple[Run, ...]
    replaced: tuple[Replaced, ...]
    waiting: int = 0
    locked: int = 0


def plan(
    listing: Iterable[ObjectInfo],
    now: datetime,
    *,
    age: timedelta,
    grace: timedelta,
    lock: timedelta | None,
) -> Plan:
    """What to do with a destination that lists these.

    Rolled up is what is at least `age` old, and removed what was replaced `grace` ago. An object without a
    time is left alone, and so is one that is under lock, for `lock` from when it was stored: it would only be
    there twice.
    """
    chains: dict[Chain, list[tuple[SegmentName, ObjectInfo]]] = defaultdict(list)
    for info in listing:
        name = SegmentName.parse(info.key)
        if name is not None:
            chains[name.chain].append((name, info))
    runs: list[Run] = []
    replaced: list[Replaced] = []
    waiting = locked = 0

    def is_locked(info: ObjectInfo) -> bool:
        return lock is not None and (info.modified or now) + lock >= now

    for chain in sorted(chains):
        held = sorted(chains[chain], key=lambda each: (each[0].first, -each[0].next))
        alone: list[tuple[SegmentName, ObjectInfo]] = []
        for group in _groups(held):
            (large, info), inner = group[0], group[1:]
            if not inner:
                alone.append(group[0])
            elif all(name.next <= large.next and _is_less(name, large) for name, _ in inner):
                free = [(name, each) for name, each in inner if not is_locked(each)]
                locked += len(inner) - len(free)
                if info.modified is None or info.modified + grace > now:
                    waiting += len(free)
                elif free:
                    small = tuple((name, each.size) for name, each in free)
                    replaced.append(Replaced(large, info.size, small))
        last = held[-TAIL][0].first if len(held) >= TAIL else 0
        old = [
            (name, info)
            for name, info in alone
            if name.first < last and info.modified is not None and info.modified + age <= now
        ]
        locked += sum(is_locked(info) for _, info in old if info.size < SMALL_BYTES)
        runs += _runs([(name, info.size) for name, info in old if not is_locked(info)])
    total = sum(map(len, chains.values()))
    return Plan(total, tuple(runs), tuple(replaced), waiting, locked)


def _groups(
    held: Sequence[tuple[SegmentName, ObjectInfo]],
) -> Iterable[list[tuple[SegmentName, ObjectInfo]]]:
    """Segments whose ranges overlap, together; nearly all are alone."""
    group: list[tuple[SegmentName, ObjectInfo]] = []
    end = 0
    for name, info in held:
        if group and name.first >= end:
            yield group
            group = []
        group.append((name, info))
        end = max(end, name.next)
    if group:
        yield group


def _is_less(inner: SegmentName, outer: SegmentName) -> bool:
    return (inner.first, inner.next) != (outer.first, outer.next)


def _runs(held: Sequence[tuple[SegmentName, int]]) -> Iterable[Run]:
    run: list[tuple[SegmentName, int]] = []
    for name, size in held:
        begins = not run or run[-1][0].next != name.first
        full = len(run) == MOST or sum(each for _, each in run) + size > LARGE_BYTES
        if size >= SMALL_BYTES or begins or full:
            if len(run) >= FEWEST:
                yield Run(tuple(run))
            run = []
        if size < SMALL_BYTES:
            run.append((name, size))
    if len(run) >= FEWEST:
        yield Run(tuple(run))
