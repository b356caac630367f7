"""What a compaction did, for people and for scripts."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from typing import Any

from replicator.bases import Manifest
from replicator.restore.moment.cut import Cut


@dataclass(slots=True)
class Report:
    """One compaction. Sizes are bytes, of segments; `made` is False where that base was there already."""

    destination: str
    cut: Cut
    made_from: str | None
    base: Manifest | None = None
    made: bool = False
    read: int = 0
    written: int = 0
    found_stored: int = 0
    """Segments that an earlier run, which was ended, had stored already."""
    by_event: list[str] = field(default_factory=list)
    """Tables without a key that couldn't be folded: of them every event since the last TRUNCATE is kept."""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For scripts; without a base, it was only looked what would be read."""
        base = self.base
        return {
            "destination": self.destination,
            "base": None if base is None else base.id,
            "made": self.made,
            "made_from": self.made_from,
            "cut": self.cut.as_json(),
            "read_bytes": self.read,
            "written_bytes": self.written,
            "segments_found_stored": self.found_stored,
            "base_bytes": 0 if base is None else base.size,
            "base_segments": 0 if base is None else sum(len(chain.segments) for chain in base.chains),
            "base_records": 0 if base is None else base.records,
            "tables": [
                {
                    "table": table.collection,
                    "records": table.records,
                    "events": table.events,
                    "snapshot_rows": table.snapshot_rows,
                }
                for table in (() if base is None else base.tables)
            ],
            "kept_by_event": list(self.by_event),
            "seconds": round(self.seconds, 3),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "warnings": list(self.warnings),
        }
