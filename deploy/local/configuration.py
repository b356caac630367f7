"""A configuration of the replicator for a database that a stack captures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.local.cache import write_atomically
from deploy.local.endpoints import Endpoints


def captured(endpoints: Endpoints, installation: str, dsn: str, **source: Any) -> dict[str, Any]:
    """Return what every such configuration says; `source` adds to that section, or replaces what it has.

    Heartbeats come every two seconds: whoever waits for a quiet database to move would wait for a minute.
    """
    return {
        "installation": installation,
        "kafka": {"bootstrap_servers": endpoints.kafka.bootstrap_servers},
        "registry": {"url": endpoints.registry.url},
        "source": {
            "dsn": dsn,
            "connect_url": endpoints.connect.url,
            "converter": {
                "class_name": endpoints.converter.class_name,
                "settings": endpoints.converter.settings,
            },
            "heartbeat_s": 2.0,
            "pg_dump": str(Path(endpoints.postgres.bin) / "pg_dump"),
            **source,
        },
    }


def save(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a configuration as YAML, readable by its owner alone: it holds passwords. Return its path."""
    write_atomically(path, yaml.safe_dump(dict(document), sort_keys=False), mode=0o600)
    return path
