"""How long history is kept."""

from __future__ import annotations

from pydantic import Field

from replicator.config.section import Section


class Retention(Section):
    """What `replicator retention` may remove, and whether control applies it."""

    keep_days: float = Field(
        30.0, ge=0, description="every moment of the last so many days stays restorable, at least"
    )
    every_h: float = Field(
        0.0,
        ge=0,
        description="control removes what is older as often, from every destination on duty; 0 for never",
    )
