"""A rolling up from the listing to the last deletion; it may be ended at any time and called again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from replicator.config import Config
from replicator.errors import IntegrityError
from replicator.progress import Progress, Silent
from replicator.rollup.plan import Plan, Replaced, Run, plan
from replicator.segment import read, rolled
from replicator.segment.container import Segment
from replicator.segment.name import CHANGES, SegmentName
from replicator.segment.rolled import Member
from replicator.storage import ObjectStore, lock, open_store

_THREADS = 8
AGE = timedelta(hours=1)
"""What is younger may still be looked at by a sink that begins, or be put by one that is slow."""


@dataclass(slots=True)
class Report:
    """What was done, or with `applied` false would be. Sizes are bytes."""

    destination: str
    plan: Plan
    grace_h: float
    applied: bool = False
    rolled: int = 0
    """Small segments that are in large ones now."""
    made: int = 0
    """Large segments."""
    made_bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0
    left: list[str] = field(default_factory=list)
    """What was left as it is, and why."""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For scripts; `to_roll_up` and `to_remove` count small segments."""
        return {
            "destination": self.destination,
            "applied": self.applied,
            "segments": self.plan.segments,
            "to_roll_up": sum(len(run.members) for run in self.plan.runs),
            "to_roll_up_bytes": sum(run.size for run in self.plan.runs),
            "to_remove": sum(len(each.small) for each in self.plan.replaced),
            "to_remove_bytes": sum(size for each in self.plan.replaced for _, size in each.small),
            "waiting": self.plan.waiting,
            "grace_h": self.grace_h,
            "under_lock": self.plan.locked,
            "rolled_up": self.rolled,
            "large_segments": self.made,
            "large_bytes": self.made_bytes,
            "removed": self.removed,
            "removed_bytes": self.removed_bytes,
            "left": list(self.left),
            "seconds": round(self.seconds, 3),
        }


def run(
    config: Config,
    destination: str,
    *,
    apply: bool = False,
    grace_h: float | None = None,
    age: timedelta = AGE,
    progress: Progress | None = None,
) -> Report:
    """Find what is worth rolling up in a destination, and with `apply` do it.

    A large segment is stored, read back, and every small one made of it again before it counts. The small
    ones go in a later call, `grace_h` hours after (the configuration's by default): whoever listed before the
    large one was there has ended then. Before each goes it is made again of what is stored. `IntegrityError`
    when a large one doesn't give back what was put into it, `RefusedError` for a lock whose length isn't
    configured, `StorageError` when the store doesn't answer.
    """
    begun = time.monotonic()
    place = config.destination(destination)
    hours = config.rollup.grace_h if grace_h is None else grace_h
    days = lock.days_of(place, destination)
    store = open_store(place)
    try:
        made = plan(
            store.list(CHANGES),
            datetime.now(UTC),
            age=age,
            grace=timedelta(hours=hours),
            lock=None if days is None else timedelta(days=days),
        )
        report = Report(destination, made, hours)
        if apply:
            report.applied = True
            _apply(store, made, report, progress or Silent())
    finally:
        store.close()
    report.seconds = time.monotonic() - begun
    return report


def _apply(store: ObjectStore, made: Plan, report: Report, progress: Progress) -> None:
    numbers = [len(each.small) for each in made.replaced] + [len(each.members) for each in made.runs]
    sizes = [size for each in made.replaced for _, size in each.small]
    progress.begin(sum(numbers), sum(sizes) + sum(each.size for each in made.runs))
    with ThreadPoolExecutor(_THREADS, "rollup") as pool:
        try:
            for replaced in made.replaced:
                _remove(store, replaced, report, pool)
                progress.advance(len(replaced.small), sum(size for _, size in replaced.small))
            for run_ in made.runs:
                _roll(store, run_, report, pool)
                progress.advance(len(run_.members), run_.size)
        finally:
            pool.shutdown(cancel_futures=True)


def _remove(store: ObjectStore, replaced: Replaced, report: Report, pool: ThreadPoolExecutor) -> None:
    """Remove the small ones that the large one gives back, byte for byte, as it is stored now."""
    body = _fetch(store, replaced.large)
    inside = {segment.name for segment in rolled.members(body, replaced.large.key())}
    going = [(name, size) for name, size in replaced.small if name in inside]

    def remove(name: SegmentName) -> str | None:
        why = lock.kept(store, name.key())
        return None if why is None else f"{name.key()} wasn't let go: {why}"

    for (_, size), why in zip(going, pool.map(remove, [name for name, _ in going]), strict=True):
        if why is not None:
            report.left.append(why)
        else:
            report.removed += 1
            report.removed_bytes += size


def _roll(store: ObjectStore, run_: Run, report: Report, pool: ThreadPoolExecutor) -> None:
    """Store the large ones of a run; what doesn't fit together begins another."""
    try:
        bodies = list(pool.map(lambda each: _fetch(store, each[0]), run_.members))
    except IntegrityError as error:
        report.left.append(error.message)  # `verify` and `repair` are for that
        return
    part: list[Member] = []
    for (name, _), body in zip(run_.members, bodies, strict=True):
        if part:
            one = read.open_header(part[-1].body, part[-1].name.key()).header
            if not rolled.fits(one, read.open_header(body, name.key()).header):
                _store(store, part, report)
                part = []
        part.append(Member(name, body))
    _store(store, part, report)


def _store(store: ObjectStore, part: Sequence[Member], report: Report) -> None:
    if len(part) < 2:
        return
    try:
        large = rolled.make(part)
    except ValueError as error:
        report.left.append(str(error))
        return
    store.put(large.name.key(), large.body, sha256=large.sha256)
    _prove(store, large, part)
    report.rolled += len(part)
    report.made += 1
    report.made_bytes += len(large.body)


def _prove(store: ObjectStore, large: Segment, part: Sequence[Member]) -> None:
    key = large.name.key()
    again = rolled.members(_fetch(store, large.name), key)
    if [(each.name, each.body) for each in again] != [(each.name, each.body) for each in part]:
        raise IntegrityError(
            f"{key} doesn't give back the {len(part)} segments that were rolled up into it; none of them was "
            "removed.",
            next_step="report it: this must not happen; nothing is lost",
        )


def _fetch(store: ObjectStore, name: SegmentName) -> bytes:
    body = store.get(name.key())
    digest = hashlib.sha256(body).hexdigest()
    if digest[:16] != name.sha256_16:
        raise IntegrityError(
            f"{name.key()} is damaged: its bytes hash to {digest[:16]}…. It was left as it is.",
            next_step="`replicator verify` and `replicator repair` find and mend it",
        )
    return body
