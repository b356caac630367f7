"""Where a destination's chains begin, once retention has removed what was before."""

from __future__ import annotations

import structlog

from replicator.bases import stored
from replicator.bases.stored import ForgedBaseError
from replicator.config import Config
from replicator.points.signature import Keys
from replicator.segment.name import Chain
from replicator.storage import ObjectStore, open_store

_log = structlog.get_logger()


def of_destination(config: Config, destination: str) -> dict[Chain, int]:
    """By chain the offset below which nothing is missed; empty where all history is kept.

    A base that isn't believed counts for nothing: what was removed for it is then missing; the log says why.
    `StorageError` when the destination doesn't answer, `ConfigError` when there is none of that name.
    """
    store = open_store(config.destination(destination))
    try:
        return of_store(config, store, destination)
    finally:
        store.close()


def of_store(config: Config, store: ObjectStore, destination: str) -> dict[Chain, int]:
    """The same, of a store that is open already."""
    try:
        floor = stored.floor(store, Keys(config.control), destination)
    except ForgedBaseError as error:
        _log.error("the base that history begins with", destination=destination, error=str(error))
        return {}
    return {} if floor is None else floor.stops
