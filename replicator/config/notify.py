"""The section `notify:`: who is told, beside what Prometheus does."""

from __future__ import annotations

from pydantic import Field, SecretStr

from replicator.config.section import Section


class Notify(Section):
    """Where notices go, and how often at most."""

    urls: list[SecretStr] = Field(
        [], description="apprise URLs (mailtos://…, slack://…, ntfy://…); each is told of everything"
    )
    min_interval_s: float = Field(
        600.0, ge=0, description="the same thing isn't told again within so long, however often it comes back"
    )
    repeat_every_s: float = Field(
        14_400.0, ge=0, description="what isn't over is told again after so long; 0: never"
    )
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9467, ge=0, le=65535)
