"""The schema registry: reachable, and with the memory that old records need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from replicator.config import Config
from replicator.errors import SourceError
from replicator.registry import RegistryError, SchemaRegistry
from replicator.source.checks.check import Check, fail, ok, warn
from replicator.source.checks.kafka import durable_registry_topic
from replicator.source.database import Connection
from replicator.source.decoding import schema_text
from replicator.source.proof import latest


def checks(connection: Connection, config: Config) -> Iterator[Check]:
    """All checks of the registry; `SourceError` when it can't be reached."""
    yield _compatibility(config)
    yield _durable(config)
    yield from _remembers(connection, config)


def _compatibility(config: Config) -> Check:
    registry = config.registry
    try:
        level = SchemaRegistry(registry).ask("GET", "/config").get("compatibilityLevel", "unknown")
    except RegistryError as error:
        if error.status is None:
            raise SourceError(
                f"{error.message} Without it Connect can't write new schemas and nobody can read records.",
                next_step=error.next_step,
            ) from None
        if error.status in (401, 403):
            raise SourceError(error.message, next_step=error.next_step) from None
        level = "unknown"
    if level in ("NONE", "unknown"):
        return ok("registry", f"at {registry.url}, compatibility {level}")
    return warn(
        "registry",
        f"compatibility {level}: after some changes of a table it refuses, and the connector stops",
        f"set it to NONE for the subjects of {config.installation}.*: tables change as people change them",
    )


def _durable(config: Config) -> Check:
    topic = durable_registry_topic(config)
    if topic is not None:
        return ok("registry storage", f"in Kafka, topic {topic}")
    return warn(
        "registry storage",
        "not to be seen from here: in memory, it forgets all ids at a restart and gives them away again",
        "make sure that its storage is durable; doctor compares the ids that it meets from run to run",
    )


def _remembers(connection: Connection, config: Config) -> Iterator[Check]:
    """The ids that the last canary met must still mean the same schemas."""
    proof = latest(connection, None)
    known = proof.detail.get("schemas") if proof else None
    if proof is None or not isinstance(known, dict) or not known:
        return
    for number, digest in known.items():
        try:
            text = schema_text(config.registry, int(number), f"the canary of {proof.at}")
        except SourceError as error:
            yield fail(
                "registry memory", error.message, "bring back the registry's storage; old records need it"
            )
            return
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            yield fail(
                "registry memory",
                f"schema id {number} meant another schema on {proof.at}: old records would be read wrongly",
                "stop the sinks; bring back the registry's storage; give it durable storage",
            )
            return
    yield ok("registry memory", f"the ids of {proof.at[:19]} still mean the same schemas")
