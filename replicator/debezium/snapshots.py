"""The initial snapshot as the notification topic tells it: how often it began, and how many rows each table
had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from replicator.errors import IntegrityError, RefusedError

_INITIAL = "Initial Snapshot"
ANEW = (
    "set the capture up anew while no migration runs, under another name: `replicator connect remove "
    "--purge`, a new `installation:` in replicator.yaml, `replicator source install`, `replicator connect "
    "apply`"
)
"""What to do about a snapshot that can't be used."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A completed initial snapshot.

    `scanned` is the number of rows per table (`schema.table`); `attempts` how often it was begun: rows of an
    attempt that was given up are in the topics too and are told apart by their LSN.
    """

    scanned: dict[str, int]
    attempts: int
    completed_ms: int

    @property
    def doubt(self) -> str | None:
        """Why restores may refuse it, in words; None for one that was begun once."""
        if self.attempts == 1:
            return None
        return (
            f"The initial snapshot was begun {self.attempts} times, the last time with the slot of an "
            "attempt before: what was committed meanwhile may be lacking, and then every restore refuses it."
        )


def read(rows: Iterable[Mapping[str, Any]]) -> Snapshot | None:
    """The snapshot that the notifications, in offset order, tell of; None while none is complete.

    `RefusedError` for a second completed snapshot and for incremental ones: restoring across them isn't
    supported yet; and where Debezium streams without a snapshot. `IntegrityError` when a table's scan failed.
    """
    attempts = 0
    scanned: dict[str, int] = {}
    failed: dict[str, str] = {}
    skipped = False
    done: Snapshot | None = None
    for row in rows:
        kind, more = row["type"], dict(row["additional_data"] or ())
        if row["aggregate_type"] != _INITIAL:
            if row["aggregate_type"] == "Incremental Snapshot" and kind == "TABLE_SCAN_COMPLETED":
                raise RefusedError(
                    f"An incremental snapshot of {more.get('scanned_collection')} is in the stream; "
                    "restoring across it "
                    "isn't supported yet.",
                    next_step="restore from a destination whose chains begin after it",
                )
            continue
        if kind == "SKIPPED":
            skipped = True
        elif kind == "STARTED":
            attempts += 1
            scanned, failed = {}, {}
        elif kind == "TABLE_SCAN_COMPLETED":
            table = str(more["scanned_collection"])
            if more.get("status") in ("SUCCEEDED", "EMPTY"):
                scanned[table] = int(more["total_rows_scanned"])
            else:
                failed[table] = str(more.get("status"))
        elif kind == "COMPLETED":
            for table, status in failed.items():
                raise IntegrityError(
                    f"The snapshot's scan of {table} ended with {status}.",
                    next_step=ANEW,
                )
            if done is not None:
                raise RefusedError(
                    "A second initial snapshot was taken after the first was complete (the connector's "
                    "offsets were "
                    "lost or reset). Restoring across it isn't supported yet.",
                    next_step="restore from a destination whose chains begin with the second one",
                )
            done = Snapshot(scanned, attempts, int(row["timestamp"]))
    if skipped and done is None:
        raise RefusedError(
            "Debezium streams without an initial snapshot: the task ended before the first row of it, and "
            "began again as if it were complete. Rows from before aren't captured.",
            next_step=ANEW,
        )
    return done
