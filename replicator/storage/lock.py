"""Whether a deletion frees anything: a bucket that locks objects by itself hides what is deleted."""

from __future__ import annotations

from replicator.config import Destination
from replicator.errors import RefusedError
from replicator.storage import ErrorKind, ObjectStore, StorageError, open_plain
from replicator.storage.survey import Described

_PROBE = "v1/installation.json"


def days_of(place: Destination, name: str) -> float | None:
    """For how many days an object of the destination is under lock; None where there is no lock.

    `RefusedError` when the bucket has one whose length the configuration doesn't say; `StorageError` when it
    doesn't answer.
    """
    configured: float | None = getattr(place, "retention_days", None)
    if configured is not None:
        return configured
    plain = open_plain(place)
    try:
        locks = isinstance(plain, Described) and plain.facts(_PROBE).object_lock
    except StorageError as error:
        if error.retryable:
            raise
        locks = None
    finally:
        plain.close()
    if locks:
        raise RefusedError(
            f"The bucket of {name} has object lock, and the configuration doesn't say for how long: "
            "what is under lock can't be told from what isn't.",
            next_step=f"set destinations.{name}.retention_days to what the bucket's default is",
        )
    return None


def kept(store: ObjectStore, key: str) -> str | None:
    """Delete the object; the store's words when it doesn't let it go, None when it did.

    `StorageError` when it doesn't answer.
    """
    try:
        store.delete(key)
    except StorageError as error:
        if error.kind not in (ErrorKind.AUTH, ErrorKind.EXISTS, ErrorKind.FATAL):
            raise
        return error.message
    return None
