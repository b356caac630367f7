"""A configuration to render from."""

from __future__ import annotations

from typing import Any

from replicator.config import Config


def config(installation: str = "weddings", **source: Any) -> Config:
    return Config(
        installation=installation,
        kafka={"bootstrap_servers": "127.0.0.1:9092"},
        registry={"url": "http://127.0.0.1:8080/apis/ccompat/v7"},
        source={
            "dsn": "postgresql://planner:s3cret@db.example:5433/weddings",
            **source,
        },
    )
