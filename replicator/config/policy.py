"""What a destination is to its installation: how it counts towards the promised copies, what it is worth."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from replicator.config.section import Section


class Policy(Section):
    """Part of every destination, whatever kind of store it is."""

    role: Literal["active", "standby"] = Field(
        "active", description="a standby takes changes only while control has activated it"
    )
    priority: int = Field(0, description="of several standbys the one with the highest is chosen first")
    cost: float = Field(0.0, ge=0, description="what a GB costs there, in any one currency")
    failure_domain: str | None = Field(
        None, description="destinations that fail together share it: a provider's region, a building"
    )
