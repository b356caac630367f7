"""The section `rollup:`: small segments as large ones."""

from __future__ import annotations

from pydantic import Field

from replicator.config.section import Section


class Rollup(Section):
    """How `replicator rollup` works, and whether control does it."""

    every_h: float = Field(
        0.0, ge=0, description="control rolls up every destination on duty as often; 0 for never"
    )
    grace_h: float = Field(
        24.0,
        ge=0,
        description="small segments stay for so long beside the large one; longer than any restore takes",
    )
