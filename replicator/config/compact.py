"""The section `compact:`: how often control makes bases, and with what."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from replicator.config.section import Section


class Compact(Section):
    """How control folds each destination into bases; `replicator compact` does it by hand."""

    every_h: float = Field(
        0.0, ge=0, description="control makes a base of every destination on duty as often; 0 for never"
    )
    remind_h: float | None = Field(
        None, gt=0, description="alert when a destination got no base for so long; twice every_h by default"
    )
    memory_mb: int = Field(512, ge=64, description="for folding, as `replicator compact --memory-mb`")
    scratch: Path | None = Field(
        None, description="where segments are put while they are read; the system's temporary directory"
    )

    @property
    def overdue_s(self) -> float | None:
        """Seconds without a base after which somebody is told; None where nobody is."""
        if self.remind_h is not None:
            return self.remind_h * 3600
        return self.every_h * 7200 if self.every_h else None
