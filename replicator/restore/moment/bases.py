"""Which base a restore begins with: the newest genuine one at or before its target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from replicator.bases import Manifest, stored
from replicator.bases.manifest import PREFIX
from replicator.bases.stored import ForgedBaseError
from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import Commits
from replicator.errors import RefusedError
from replicator.points import Keys
from replicator.restore.moment import history
from replicator.restore.moment.cut import Latest, Target, ToLsn, ToMark, ToTime, ToXid, time_text
from replicator.restore.moment.history import History
from replicator.restore.segments.catalog import Catalog
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.sources import Sources
from replicator.storage import ObjectStore, StorageError

_log = structlog.get_logger()


@dataclass(slots=True)
class Bases:
    """The bases of a restore's sources. `floors` are those before which a source's history was removed."""

    found: dict[str, list[str]] = field(default_factory=dict)
    """By id the sources that have it."""
    floors: dict[str, str] = field(default_factory=dict)
    """By source."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The history from the base on, or from the initial snapshot."""

    history: History
    base: Manifest | None
    floor: Manifest | None = None
    """The first base that retention has left, where the history is read from before it."""


def find(stores: Mapping[str, ObjectStore]) -> Bases:
    """What the sources list; one that can't be listed is a warning."""
    bases = Bases()
    for name, store in stores.items():
        try:
            listed = stored.list_bases(store)
        except StorageError as error:
            bases.warnings.append(f"the bases of {name} can't be listed: {error.message}")
            continue
        for each in listed.ids:
            bases.found.setdefault(each, []).append(name)
        if listed.floors:
            bases.floors[name] = listed.floors[-1]
    return bases


def usable(to: Target | None, base: Manifest) -> bool:
    """Whether the target can't be before the base's cut, as far as that is known without later commits. Pure.

    Commits aren't always in the order of their times, so the latest of them counts; to the millisecond, as
    END knows it.
    """
    if isinstance(to, ToLsn):
        return base.lsn <= to.lsn
    if isinstance(to, ToTime):
        return base.latest_micros + 999 <= to.micros
    if isinstance(to, ToMark):
        return base.marks is not None and not _is_behind(to, base)
    return isinstance(to, (Latest, ToXid))


def _is_behind(to: ToMark, base: Manifest) -> bool:
    """Whether the mark is one moment before the base's cut; of several, whoever reads them refuses. Pure."""
    numbers = {mark.number for mark in base.marks or () if mark.name == to.name}
    return len(numbers) == 1 and min(numbers) < base.commit


def read(
    sources: Sources,
    bases: Bases,
    to: Target | None,
    keys: Keys,
    installation: str,
    read_from: Callable[[Manifest | None], History],
) -> Beginning:
    """Where a restore to the target begins; without a base that fits, with the whole history.

    Without a target, that is all that retention has left; and for a mark where no base knows of marks.

    `RefusedError` when the target needs what retention has removed.
    """
    for manifest in () if to is None else _believed(sources, bases, keys, installation):
        if not usable(to, manifest):
            continue
        told = read_from(manifest)
        if not isinstance(to, ToXid) or _has(told.commits, to):
            return Beginning(told, manifest)
    floor = _floor(sources, bases, keys, installation)
    try:
        return Beginning(read_from(None), None, floor)
    except RefusedError as error:  # a hole, or nothing left of a topic at all
        if floor is None:
            raise
        if to is None or (isinstance(to, ToMark) and not _is_behind(to, floor)):
            return Beginning(read_from(floor), floor)
        raise removed(to, floor) from error


def removed(to: Target, floor: Manifest) -> RefusedError:
    """Why a target before a source's floor can't be had, where no other source has what it needs. Pure."""
    return RefusedError(
        f"{str(to)[0].upper()}{str(to)[1:]} is before the {floor}, with which the history begins: what "
        "is older was removed by `replicator retention`.",
        next_step=f"the first possible moment: --to-lsn {lsn_text(floor.lsn)} "
        f"(--to-time {time_text(floor.latest_micros + 999)}); or a destination that keeps more",
    )


def _has(commits: Commits, to: ToXid) -> bool:
    return bool(commits.of_xid(to.xid))


def _believed(sources: Sources, bases: Bases, keys: Keys, installation: str) -> Iterator[Manifest]:
    """The genuine bases, the newest first; each may be read from then on."""
    for base in sorted(bases.found, reverse=True):
        holders: dict[str, Manifest] = {}
        for name in reversed(bases.found[base]):  # of the last that is read the certificate tells
            try:
                body = sources.read_object(name, f"{PREFIX}{base}.json")
                manifest = stored.parse(body, base, keys, name)
            except (ForgedBaseError, StorageError) as error:
                _warn(bases, f"a base of {name} is left out: {error.message}")
                continue
            if manifest.installation != installation or sources.cluster_id not in (None, manifest.cluster_id):
                _warn(bases, f"the {manifest} in {name} is of another installation or Kafka cluster")
                continue
            holders[name] = manifest
        if holders:
            manifest = list(holders.values())[-1]
            same = [name for name, each in holders.items() if each.chains == manifest.chains]
            sources.add_base(manifest.chains, same)
            yield manifest


def _floor(sources: Sources, bases: Bases, keys: Keys, installation: str) -> Manifest | None:
    """The oldest base that a source's history begins with."""
    floors = set(bases.floors.values())
    kept = Bases({base: names for base, names in bases.found.items() if base in floors})
    return min(_believed(sources, kept, keys, installation), key=lambda each: each.lsn, default=None)


def _warn(bases: Bases, words: str) -> None:
    if words not in bases.warnings:
        bases.warnings.append(words)
        _log.error("bases", warning=words)


def since(catalog: Catalog, base: Manifest | None) -> Catalog:
    """The catalog of what comes after the base."""
    return catalog if base is None else catalog.since(base.stops)


def reader(fetcher: Fetcher, catalog: Catalog, installation: str) -> Callable[[Manifest | None], History]:
    """Reads the history from a base on."""
    return lambda base: history.read(fetcher, since(catalog, base), installation, base)
