"""The initial snapshot: without a complete one no moment can be restored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from replicator.config import Config
from replicator.debezium import snapshots
from replicator.errors import ReplicatorError
from replicator.source import notifications
from replicator.source.checks.check import Check, fail, ok, warn


def checks(config: Config) -> Iterator[Check]:
    """What the topic of notifications tells; `KafkaError` or `SourceError` when it can't be read."""
    yield line(notifications.read(config))


def line(rows: Iterable[Mapping[str, Any]]) -> Check:
    """The finding from the notifications in their order. Pure but for reading them."""
    told = list(rows)
    try:
        snapshot = snapshots.read(told)
    except ReplicatorError as error:
        return fail("snapshot", error.message, error.next_step or "take a new snapshot")
    if snapshot is not None:
        if snapshot.doubt is not None:
            return fail("snapshot", snapshot.doubt, snapshots.ANEW)
        at = datetime.fromtimestamp(snapshot.completed_ms / 1000, UTC)
        rows_of_all = sum(snapshot.scanned.values())
        return ok(
            "snapshot", f"complete since {at:%F %T}Z: {len(snapshot.scanned)} tables, {rows_of_all:,} rows"
        )
    if any(row["type"] == "STARTED" for row in told):
        return warn("snapshot", "it is being taken", "wait for it: no moment before its end can be restored")
    return warn(
        "snapshot",
        "Kafka has no word of one",
        "none was begun yet, or Kafka doesn't keep it any longer; `replicator points` tells what is possible",
    )
