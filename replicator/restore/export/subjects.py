"""The schemas of topics that a restore fills: in which registry, and under which subjects."""

from __future__ import annotations

import json
from typing import Any

from replicator.config import Config
from replicator.registry import RegistryError, SchemaRegistry


def registry_of(config: Config) -> SchemaRegistry:
    """`restore: registry:` where there is one, the installation's own otherwise."""
    if config.restore.registry is None:
        return SchemaRegistry(config.registry)
    return SchemaRegistry(config.restore.registry, section="restore.registry")


def register(registry: SchemaRegistry, subject: str, schema: dict[str, Any]) -> int:
    """The id of the schema under that subject, new or as it was; `RegistryError` when it isn't taken."""
    try:
        return registry.register(subject, json.dumps(schema))
    except RegistryError as error:
        if error.status != 409:
            raise
        # Our own subjects have one schema; a prefix may have been another moment's.
        raise RegistryError(
            f"The schema registry at {registry.url} has another, incompatible schema under {subject}.",
            next_step="choose a prefix that was never used for another moment, or delete that subject",
            status=409,
        ) from None
