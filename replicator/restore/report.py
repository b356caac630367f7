"""What a restore did, for people and for scripts."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from replicator.certificate import SignedCertificate
from replicator.restore.moment.cut import Cut
from replicator.restore.moment.promise import Promises
from replicator.restore.segments.sources import Share


class Progress(Protocol):
    """Who wants to know how far a restore is."""

    def phase(self, name: str) -> None:
        """Something new begins."""
        ...

    def tables(self, total_bytes: int) -> None:
        """Loading begins; so many bytes of segments are to be read."""
        ...

    def loaded(self, table: str, rows: int, size: int) -> None:
        """A table's rows are in the target and proven; `size` bytes of segments were read for it."""
        ...


class Silent:
    """Nobody wants to know."""

    def phase(self, name: str) -> None:
        """Ignored."""

    def tables(self, total_bytes: int) -> None:
        """Ignored."""

    def loaded(self, table: str, rows: int, size: int) -> None:
        """Ignored."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table: rows in the target; snapshot rows and events that were read and counted."""

    table: str
    rows: int
    snapshot_rows: int
    events: int
    segments: int
    bytes: int
    seconds: float


@dataclass(slots=True)
class Report:
    """The result of a restore. `unproven` names columns some of whose values may have changed on the way."""

    installation: str
    destination: str
    cut: Cut
    transactions: int = 0
    base: str | None = None
    """The base that it began with; None where it began with the initial snapshot."""
    segments: int = 0
    bytes: int = 0
    tables: list[TableReport] = field(default_factory=list)
    unproven: list[dict[str, str]] = field(default_factory=list)
    not_captured: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    selection: dict[str, Any] | None = None
    """What it is about; None for everything."""
    went_with_tables: list[str] = field(default_factory=list)
    """Views, keys and the like that can't be without a table that was left out."""
    refreshed: list[str] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    definitions_compared: int = 0
    ddl_replayed: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    sources: Mapping[str, Share] = field(default_factory=dict)
    """What came from where."""
    replaced: list[str] = field(default_factory=list)
    """What was damaged, gone or not to be had, and what was read instead."""
    promises: Promises = field(default_factory=Promises)
    """What restore points say of it."""
    certificate: SignedCertificate | None = None
    """Made when everything else is proven."""

    @property
    def rows(self) -> int:
        """Rows in the target."""
        return sum(table.rows for table in self.tables)

    @property
    def seconds(self) -> float:
        """From the first look at the destination to the mark `complete`."""
        return sum(self.phases.values())

    def kept(self, rows: Mapping[str, int]) -> None:
        """So many rows of these tables stayed of what was loaded and proven."""
        self.tables = [
            replace(table, rows=rows[table.table]) if table.table in rows else table for table in self.tables
        ]

    @contextmanager
    def timed(self, phase: str, progress: Progress) -> Iterator[None]:
        """Tell of a phase and note how long it took."""
        progress.phase(phase)
        begun = time.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = round(time.monotonic() - begun, 3)

    def as_json(self) -> dict[str, Any]:
        """For scripts; times in seconds, sizes in bytes."""
        return {
            "installation": self.installation,
            "destination": self.destination,
            "state": "complete",
            "cut": self.cut.as_json(),
            "base": self.base,
            "rows": self.rows,
            "transactions": self.transactions,
            "events": sum(table.events for table in self.tables),
            "snapshot_rows": sum(table.snapshot_rows for table in self.tables),
            "segments": self.segments,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "phases": self.phases,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "sources": {name: share.as_json() for name, share in self.sources.items()},
            "replaced": self.replaced,
            **self.promises.as_json(self.cut),
            "tables": [
                {name: getattr(table, name) for name in TableReport.__slots__} for table in self.tables
            ],
            "sequences": self.sequences,
            "definitions_compared": self.definitions_compared,
            "ddl_replayed": self.ddl_replayed,
            "unproven": self.unproven,
            "not_captured": self.not_captured,
            "left_out": self.left_out,
            "selection": self.selection,
            "went_with_tables": self.went_with_tables,
            "materialized_views_refreshed": self.refreshed,
        }
