"""A retention from the listing to the last deletion; it may be ended at any time and called again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from replicator.bases import Manifest, stored
from replicator.bases.stored import ForgedBaseError
from replicator.config import Config
from replicator.debezium.envelope import lsn_text
from replicator.points import Keys
from replicator.progress import Progress, Silent
from replicator.retention.plan import Plan, floor_of, plan
from replicator.segment.name import CHANGES, FOLDED
from replicator.storage import ObjectStore, lock, open_store

_THREADS = 8


@dataclass(slots=True)
class Report:
    """What was removed, or with `applied` false would be."""

    destination: str
    keep_days: float
    plan: Plan
    applied: bool = False
    removed: int = 0
    kept: list[str] = field(default_factory=list)
    """What the store didn't let go, and its words: under a lock that the configuration doesn't know."""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For scripts; sizes in bytes, times in seconds."""
        floor, until = self.plan.floor, self.plan.locked_until
        return {
            "destination": self.destination,
            "keep_days": self.keep_days,
            "applied": self.applied,
            "floor": None if floor is None else floor.id,
            "first_moment_lsn": None if floor is None else lsn_text(floor.lsn),
            "objects": self.plan.objects,
            "bytes": self.plan.size,
            "bases": list(self.plan.bases),
            "groups": [group.as_json() for group in self.plan.groups],
            "under_lock": self.plan.locked,
            "under_lock_until": None if until is None else until.isoformat(),
            "removed": self.removed,
            "kept_by_the_store": list(self.kept),
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
        }


def run(
    config: Config,
    destination: str,
    *,
    apply: bool = False,
    keep_days: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Find what of a destination no promise needs any longer, and with `apply` remove it.

    First of all a mark says that history begins with the floor; then the manifests of older bases go, then
    the transactions, then the rest. So whatever is left when it is ended looks like what it is: nothing
    before the floor. `IntegrityError` when the floor isn't whole, `RefusedError` when the store has a lock
    whose length isn't configured, `StorageError` when it doesn't answer.
    """
    begun = time.monotonic()
    place = config.destination(destination)
    days = config.retention.keep_days if keep_days is None else keep_days
    store = open_store(place)
    try:
        lock_days = lock.days_of(place, destination)
        now = datetime.now(UTC)
        listed = stored.list_bases(store)
        warnings: list[str] = []
        manifests = _believed(store, listed.ids, Keys(config.control), config, destination, warnings)
        made = plan(
            floor_of(manifests, days, now),
            listed.ids,
            store.list(CHANGES),
            list(store.list(FOLDED)),
            lock_days=lock_days,
            now=now,
        )
        report = Report(destination, days, made, warnings=warnings)
        if apply and made.objects:
            _apply(store, made, report, progress or Silent())
            report.applied = True
    finally:
        store.close()
    report.seconds = time.monotonic() - begun
    return report


def _believed(
    store: ObjectStore,
    ids: Iterable[str],
    keys: Keys,
    config: Config,
    destination: str,
    warnings: list[str],
) -> list[Manifest]:
    found = []
    for base in ids:
        try:
            manifest = stored.read(store, base, keys, destination)
        except ForgedBaseError as error:
            warnings.append(error.message)
            continue
        if manifest.installation == config.installation:
            found.append(manifest)
    return found


def _apply(store: ObjectStore, made: Plan, report: Report, progress: Progress) -> None:
    progress.begin(made.objects, made.size)
    if made.floor is not None:
        stored.put_floor(store, made.floor.id)
    for base in made.bases:
        stored.remove(store, base)
        report.removed += 1
        progress.advance(1, 0)

    def remove(key: str) -> str | None:
        why = lock.kept(store, key)
        return None if why is None else f"{key}: {why}"

    for group in made.groups:
        average = group.bytes // max(len(group.keys), 1)
        pool = ThreadPoolExecutor(_THREADS, "retention")
        try:
            for kept in pool.map(remove, group.keys):
                if kept is not None:
                    report.kept.append(kept)
                else:
                    report.removed += 1
                progress.advance(1, average)
        finally:
            pool.shutdown(cancel_futures=True)
