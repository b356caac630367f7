"""Drills as destinations keep them, so that any machine sees them, and what they show over time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from replicator.config import Config
from replicator.drill.result import PREFIX, Result, decode, encode
from replicator.errors import IntegrityError
from replicator.points import Keys
from replicator.storage import ErrorKind, ObjectStore, RetryPolicy, StorageError, open_store

_PATIENCE = RetryPolicy(deadline_s=15.0)
_USUAL = 10
"""The newest drill is held against so many before it."""


@dataclass(frozen=True, slots=True)
class History:
    """Drills, the newest first, and what couldn't be read or isn't believed, in words."""

    drills: tuple[Result, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trend:
    """The newest drill's RPO and RTO in seconds beside the median of those before it; None where none tells.

    `failed` is how many of the `count` drills didn't pass.
    """

    count: int
    failed: int
    rto_s: float | None
    usual_rto_s: float | None
    rpo_s: float | None
    usual_rpo_s: float | None

    def __str__(self) -> str:
        told = [f"{self.count} drills, {self.failed} not passed"]
        for name, now, usual in (
            ("RTO", self.rto_s, self.usual_rto_s),
            ("RPO", self.rpo_s, self.usual_rpo_s),
        ):
            if now is not None:
                told.append(f"{name} {now:.1f} s" + ("" if usual is None else f" (usually {usual:.1f} s)"))
        return "; ".join(told)


def keep(config: Config, names: Sequence[str], result: Result) -> list[str]:
    """Put the result into each of the destinations; what went wrong, in words."""
    body = encode(result, config.control)
    digest = hashlib.sha256(body).hexdigest()
    wrong = []
    for name in names:
        try:
            store = open_store(config.destination(name), _PATIENCE)
            try:
                store.put(result.key(), body, sha256=digest)
            finally:
                store.close()
        except StorageError as error:
            wrong.append(f"{name} doesn't keep the drill's result: {error.message}")
    return wrong


def read(config: Config, names: Sequence[str], days: float, now: float) -> History:
    """The drills of so many days before `now` (seconds since 1970) that any of the destinations keeps.

    `StorageError` when none of them answers.
    """
    found: dict[str, Result] = {}
    warnings: list[str] = []
    keys = Keys(config.control)
    errors: list[StorageError] = []
    for name in names:
        try:
            store = open_store(config.destination(name), _PATIENCE)
            try:
                _read(
                    store,
                    name,
                    keys,
                    datetime.fromtimestamp(now, UTC) - timedelta(days=days),
                    found,
                    warnings,
                )
            finally:
                store.close()
        except StorageError as error:
            errors.append(error)
            warnings.append(f"{name} doesn't tell its drills: {error.message}")
    if errors and len(errors) == len(names):
        raise errors[0]
    mine = [each for each in found.values() if each.installation == config.installation]
    return History(tuple(sorted(mine, key=lambda each: each.ended_ms, reverse=True)), tuple(warnings))


def trend(drills: Sequence[Result]) -> Trend:
    """What the drills, the newest first, show over time. Pure."""
    rto = [each.rto_s for each in drills if each.passed and each.rto_s is not None]
    rpo = [each.rpo_s for each in drills if each.passed and each.rpo_s is not None]
    return Trend(
        len(drills),
        sum(not each.passed for each in drills),
        rto[0] if rto else None,
        median(rto[1 : 1 + _USUAL]) if len(rto) > 1 else None,
        rpo[0] if rpo else None,
        median(rpo[1 : 1 + _USUAL]) if len(rpo) > 1 else None,
    )


def _read(
    store: ObjectStore,
    name: str,
    keys: Keys,
    since: datetime,
    found: dict[str, Result],
    warnings: list[str],
) -> None:
    for info in store.list(PREFIX, start_after=f"{PREFIX}{since:%Y%m%dT%H%M%S}"):
        if info.key in found:
            continue
        try:
            found[info.key] = decode(store.get(info.key), info.key, keys)
        except IntegrityError as error:
            warnings.append(f"{name}: {error.message}")
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
