"""The section `drill:`: where a rehearsal restores to, and how often it is held."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from replicator.config.section import Section


class Drill(Section):
    """How drills are held: `replicator drill`, and control by itself."""

    every_h: float = Field(0.0, ge=0, description="control holds a drill as often, in hours; 0 for never")
    postgres_bin: Path | None = Field(
        None,
        description="the directory of initdb and postgres; by default where source.pg_dump is, on PATH, or "
        "/usr/lib/postgresql",
    )
    postgres_user: str | None = Field(
        None, description="who runs the scratch server where we are root; `postgres` or `nobody` by default"
    )
    dsn: SecretStr | None = Field(
        None, description="a server to make a scratch database on, instead of a server of its own"
    )
    scratch: Path | None = Field(
        None, description="where the scratch server's files go; the system's temporary directory by default"
    )
    deadline_s: float = Field(
        900.0, gt=0, description="so long a drill waits for the destinations to hold the moment it restores"
    )
    jobs: int = Field(2, ge=1, le=32, description="connections to the scratch server")
    memory_mb: int = Field(512, ge=64, description="for folding, as in `restore`")
    name_keys: bool = Field(
        True, description="note a fingerprint of each row, so that a difference is named by its key"
    )
    remind_h: float | None = Field(
        None, gt=0, description="alert when no drill has passed for so long; twice every_h by default"
    )

    @property
    def overdue_s(self) -> float | None:
        """Seconds without a passed drill after which somebody is told; None where nobody is."""
        if self.remind_h is not None:
            return self.remind_h * 3600
        return self.every_h * 7200 if self.every_h else None

    @model_validator(mode="after")
    def _one_place(self) -> Drill:
        if self.dsn is not None and self.postgres_bin is not None:
            raise ValueError("either dsn or postgres_bin says where a drill restores to, not both")
        return self
