"""The section `run:`: one installation as one tree of processes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from replicator.config.section import NAME, Section


class Run(Section):
    """What `replicator run` starts, and how patiently it starts it again."""

    instances: dict[Annotated[str, Field(pattern=NAME)], Annotated[int, Field(ge=0, le=64)]] = Field(
        {}, description="sinks of a destination; 1 where nothing is said, 0 for one that runs elsewhere"
    )
    control: bool = Field(True, description="also `replicator control`")
    backoff_s: float = Field(
        1.0, gt=0, description="a role that ended is started again within so long; doubled each time"
    )
    backoff_max_s: float = Field(60.0, gt=0, description="and within so long at most")
    steady_s: float = Field(60.0, gt=0, description="a role that ran for so long begins with backoff_s again")
    end_within_s: float | None = Field(
        None, gt=0, description="of SIGTERM; what runs then is killed. sink.drain_deadline_s + 10 by default"
    )
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9460, ge=0, le=65535)
