"""What restore points promise of a restore's sources, and whether what is stored keeps it.

A point is believed only when its signature, its name, its place and its installation agree. It adds nothing
to a restore's proof, which counts what is there; it tells what was there once. So a restore that would end
before a genuine point knows that something was lost or removed, and says so instead of handing over less.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from replicator.debezium.envelope import lsn_text
from replicator.points import ForgedPointError, Keys, RestorePoint, stored
from replicator.restore.errors import PromiseBrokenError
from replicator.restore.moment.cut import Cut, Latest, Target, time_text
from replicator.restore.segments.catalog import Catalog
from replicator.restore.segments.sources import Sources
from replicator.storage import ErrorKind, ObjectStore, StorageError

_log = structlog.get_logger()
_TRIES = 20
"""So many of a source's newest points are looked at until one is believed."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A genuine restore point of a source. `key_id` is None where points may be unsigned, and it is."""

    source: str
    key: str
    point: RestorePoint
    key_id: str | None

    def covers(self, cut: Cut) -> bool:
        """Whether everything up to the cut was durable in the source when the point was made."""
        return self.point.lsn >= cut.lsn

    def as_json(self, cut: Cut) -> dict[str, Any]:
        """For scripts: the point, who signed it, and whether it covers the cut."""
        return {
            "source": self.source,
            "key": self.key,
            "lsn": lsn_text(self.point.lsn),
            "committed": time_text(self.point.committed_ms * 1000),
            "key_id": self.key_id,
            "covers": self.covers(cut),
        }

    def told(self, cut: Cut) -> str:
        """For people: which point it is, what vouches for it, and what it means for the cut."""
        signed = f"signature verified, key {self.key_id}" if self.key_id else "unsigned: control.unsigned"
        if self.covers(cut):
            return f"covered by the {self.point} ({signed})"
        return f"beyond the newest genuine point, the {self.point} ({signed}): proven by counting alone"


@dataclass(frozen=True, slots=True)
class Promises:
    """The newest genuine point of each source, and what people have to know about the others."""

    each: tuple[Promise, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def newest(self) -> Promise | None:
        """The one that reaches furthest, if there is any."""
        return max(self.each, key=lambda each: each.point.lsn, default=None)

    def of(self, sources: Container[str]) -> Promises:
        """What these sources promise; the warnings are all told."""
        return replace(self, each=tuple(each for each in self.each if each.source in sources))

    def as_json(self, cut: Cut) -> dict[str, Any]:
        """For scripts; without a genuine point `restore_point` is null."""
        return {
            "restore_point": self.newest and self.newest.as_json(cut),
            "point_warnings": list(self.warnings),
        }


def read(
    stores: Mapping[str, ObjectStore], keys: Keys, installation: str, cluster_id: str | None, now: float
) -> Promises:
    """The newest genuine point of each source, `now` being in seconds since 1970.

    What isn't believed, or can't be read, is a warning: a restore proves itself without any point.
    """
    found: list[Promise] = []
    warnings: list[str] = []
    for name, store in stores.items():
        try:
            if not keys.any:
                if next(stored.names(store), None) is not None:
                    warnings.append(
                        f"{name} has restore points, and no key to check them is configured: none of them is "
                        "used. Put the public half of control.signing_key under control.public_keys"
                    )
                continue
            promise = _newest(store, name, keys, (installation, cluster_id), now, warnings)
        except StorageError as error:
            warnings.append(f"the restore points of {name} can't be read: {error.message}")
            continue
        if promise is not None:
            found.append(promise)
    for words in warnings:
        _log.error("restore points", warning=words)
    return Promises(tuple(found), tuple(warnings))


def read_and_list(sources: Sources, keys: Keys, installation: str, now: float) -> tuple[Promises, Catalog]:
    """What the sources promise, and then what they hold; of those that answer to both.

    In this order: beside a sink that runs, a point that is younger than the listing speaks of segments that
    are younger, too, and would call them lost.
    """
    promises = read(sources.answering(), keys, installation, sources.cluster_id, now)
    catalog = sources.catalog()
    return promises.of(sources.answering()), catalog


def held_to(promises: Promises, to: Target, cut: Cut, catalog: Catalog) -> Promises:
    """The promises, with a warning when what is stored beyond the cut falls short of the newest one.

    `PromiseBrokenError` when the restore is to be the latest moment, and ends before the newest point. Pure.
    """
    newest = promises.newest
    if newest is None:
        return promises
    short = lacks(newest.point, catalog)
    if isinstance(to, Latest) and newest.point.lsn > cut.lsn:
        raise _broken(newest, cut, short)
    if not short:
        return promises
    words = f"{newest.source} has lost what the {newest.point} says it held: {_list(short)}"
    return replace(promises, warnings=(*promises.warnings, words))


def check_reached(promises: Promises, reached: Cut, catalog: Catalog) -> None:
    """`PromiseBrokenError` when the newest transaction that is stored lies before the newest point. Pure."""
    newest = promises.newest
    if newest is not None and newest.point.lsn > reached.lsn:
        raise _broken(newest, reached, lacks(newest.point, catalog))


def lacks(point: RestorePoint, catalog: Catalog) -> list[str]:
    """The chains that end before the point says they do, in words. Pure."""
    found = []
    for end in point.ends:
        held = next(
            (
                each.next
                for each in catalog.chains.get(end.topic, ())
                if (each.chain.topic_id, each.chain.partition) == (end.topic_id, end.partition)
            ),
            0,
        )
        if held < end.end:
            found.append(f"{end.topic}[{end.partition}] ends at offset {held} of {end.end}")
    return found


def _broken(promise: Promise, cut: Cut, short: list[str]) -> PromiseBrokenError:
    point = promise.point
    left = f"--to-xid {cut.xid}" if cut.xid is not None else f"--to-lsn {lsn_text(cut.lsn)}"
    what = f" {_list(short)}." if short else " No chain is too short, so records inside of them are missing."
    return PromiseBrokenError(
        f"{promise.source} held every transaction before LSN {lsn_text(point.lsn)} "
        f"({time_text(point.committed_ms * 1000)}): its {point} says so. What is stored now is complete only "
        f"up to {cut}. Something was lost or removed since, or a dead letter with rows in it was discarded."
        f"{what}",
        next_step=f"restore from more destinations (--from), or see what is gone: `replicator verify "
        f"{promise.source}`. To take what is left, name it: {left}",
    )


def _list(short: list[str]) -> str:
    more = f", and {len(short) - 3} more" if len(short) > 3 else ""
    return ", ".join(short[:3]) + more


def _newest(
    store: ObjectStore,
    name: str,
    keys: Keys,
    ours: tuple[str, str | None],
    now: float,
    warnings: list[str],
) -> Promise | None:
    tried = 0
    for key in stored.newest_first(store, datetime.fromtimestamp(now, UTC)):
        if tried == _TRIES:
            warnings.append(f"the {_TRIES} newest restore points of {name} aren't believed; none is used")
            return None
        tried += 1
        try:
            signed = stored.read_signed(store, key, keys, name)
        except ForgedPointError as error:
            warnings.append(error.message)
            continue
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                continue  # it expired since it was listed
            raise
        point = signed.point
        if point.installation != ours[0] or ours[1] not in (None, point.cluster_id):
            warnings.append(
                f"{key} in {name} is a restore point of installation {point.installation!r} on Kafka cluster "
                f"{point.cluster_id}, not of this one: it isn't believed here"
            )
            continue
        return Promise(name, key, point, signed.key_id)
    return None
