"""What a verification found, for people, for scripts, and for whoever runs it on a schedule."""

from __future__ import annotations

import resource
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from replicator.verify.findings import Finding, Kind


@dataclass(slots=True)
class Report:
    """The result of a verification. `size` counts bytes of all segments, `read` those that were read."""

    destination: str
    depth: str
    sample: float | None = None
    """Per cent of the segments that were read; None for all."""
    chains: int = 0
    segments: int = 0
    size: int = 0
    overlapping: int = 0
    """Offsets that more than one segment covers; harmless."""
    inspected: int = 0
    resumed: int = 0
    """Segments that the state file calls sound already."""
    read: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    """Ranges that segments cover without having their records, with the reason."""

    @property
    def damaged(self) -> bool:
        """Whether something is wrong that a restore could meet."""
        return any(finding.kind.harmful for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings of each kind, kinds without any included."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind.value: found[kind] for kind in Kind}

    @property
    def rate(self) -> float:
        """Bytes read a second."""
        return self.read / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """For scripts; sizes in bytes, times in seconds."""
        return {
            "destination": self.destination,
            "damaged": self.damaged,
            "depth": self.depth,
            "sample_percent": self.sample,
            "chains": self.chains,
            "segments": self.segments,
            "bytes": self.size,
            "overlapping_offsets": self.overlapping,
            "inspected": self.inspected,
            "resumed": self.resumed,
            "bytes_read": self.read,
            "seconds": round(self.seconds, 3),
            "mb_per_s": round(self.rate / 1e6, 1),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "counts": self.counts,
            "findings": [finding.as_json() for finding in self.findings],
            "left_out": self.left_out,
        }
