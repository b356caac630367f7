"""What a repair did, for people and for scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from replicator.repair.plan import Lost


@dataclass(slots=True)
class RepairReport:
    """What a repair did, or with `dry_run` would do."""

    destination: str
    sources: list[str]
    dry_run: bool
    steps: list[str] = field(default_factory=list)
    copied: int = 0
    replaced: int = 0
    rewritten: int = 0
    removed: int = 0
    sound: int = 0
    """Objects that were found damaged before and weren't any more."""
    others: int = 0
    """Marks and schemas that were copied."""
    size: int = 0
    """Bytes written."""
    by_source: dict[str, int] = field(default_factory=dict)
    """Segments that each source gave."""
    damaged_sources: list[str] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """What couldn't be mended though nothing is lost with it, and why."""
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether everything that was found is mended, or would be."""
        return not self.lost and not self.failed

    def as_json(self) -> dict[str, Any]:
        """For scripts; sizes in bytes, times in seconds."""
        return {
            "destination": self.destination,
            "sources": self.sources,
            "dry_run": self.dry_run,
            "whole": self.whole,
            "steps": self.steps,
            "copied": self.copied,
            "replaced": self.replaced,
            "rewritten": self.rewritten,
            "removed": self.removed,
            "sound": self.sound,
            "others": self.others,
            "bytes": self.size,
            "by_source": self.by_source,
            "damaged_sources": self.damaged_sources,
            "lost": [each.as_json() for each in self.lost],
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }
