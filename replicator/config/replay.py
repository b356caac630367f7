"""How dead letters are closed."""

from __future__ import annotations

from pydantic import Field

from replicator.config.section import Section


class Replay(Section):
    """How often letters are looked at, and when a person is called."""

    poll_s: float = Field(10.0, gt=0, description="seconds between two looks at the topic of letters")
    escalate_after_s: float = Field(
        900.0, ge=0, description="a letter that stays open for so long is escalated"
    )
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9466, ge=0, le=65535)
