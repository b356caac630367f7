"""How a sink works."""

from __future__ import annotations

from pydantic import Field

from replicator.config.section import Section


class Urgency(Section):
    """Records of matching topics are sealed when they are `max_age_s` seconds old."""

    topics: str
    max_age_s: float = Field(gt=0)


class Sink(Section):
    """How a sink cuts segments and what it may use."""

    memory_bytes: int = Field(64 * 2**20, ge=4 * 2**20)
    segment_bytes: int = Field(16 * 2**20, ge=2**16)
    max_age_s: float = Field(60.0, gt=0)
    urgent: list[Urgency] = Field([])
    max_record_bytes: int = Field(
        32 * 2**20, ge=2**10, le=60 * 2**20, description="a larger record goes to a dead letter"
    )
    max_letters: int = Field(
        10_000, ge=0, description="so many dead letters of records of one partition, and it stops"
    )
    refusal_patience_s: float = Field(
        60.0, gt=0, description="so long a healthy destination may refuse a segment before a dead letter"
    )
    upload_threads: int = Field(4, ge=1, le=64)
    drain_deadline_s: float = Field(25.0, gt=0)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9464, ge=0, le=65535)
