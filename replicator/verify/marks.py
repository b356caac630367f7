"""Whose destination it is: offsets mean nothing in another installation or another Kafka cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass

from replicator.errors import ConfigError, RefusedError
from replicator.storage import ErrorKind, ObjectStore, StorageError
from replicator.verify.holdings import MARK


@dataclass(frozen=True, slots=True)
class Mark:
    """What `v1/installation.json` says."""

    installation: str
    cluster_id: str


class MarkDamagedError(RefusedError):
    """The mark is there and can't be read as one."""


def find(store: ObjectStore) -> Mark | None:
    """The mark of a destination, None without one; `MarkDamagedError`, `StorageError`."""
    try:
        facts = json.loads(store.get(MARK))
        return Mark(str(facts["installation"]), str(facts["cluster_id"]))
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return None
        raise
    except (ValueError, KeyError, TypeError):
        raise MarkDamagedError(
            f"{MARK} in the destination is damaged.",
            next_step="copy it from another destination of the same installation",
        ) from None


def is_sound(store: ObjectStore) -> bool:
    """Whether the destination has a mark that can be read as one."""
    try:
        return find(store) is not None
    except MarkDamagedError:
        return False


def same(a: str, store_a: ObjectStore, b: str, store_b: ObjectStore) -> None:
    """`ConfigError` when two destinations bear the marks of different installations or Kafka clusters.

    One without a mark, or with a damaged one, is taken for what the other is: topics' ids tell chains apart.
    """
    marks = []
    for store in (store_a, store_b):
        try:
            marks.append(find(store))
        except MarkDamagedError:
            marks.append(None)
    ours, theirs = marks
    if ours is not None and theirs is not None and ours != theirs:
        raise ConfigError(
            f"{a} belongs to installation {ours.installation!r} of Kafka cluster {ours.cluster_id}, {b} to "
            f"{theirs.installation!r} of {theirs.cluster_id}: their offsets have nothing to do with each "
            "other.",
            next_step="check the two destinations' buckets and prefixes in the configuration",
        )
