"""Each destination: what it really does, and whether that is what was asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replicator.config import (
    AzureDestination,
    B2Destination,
    Config,
    Destination,
    GcsDestination,
    S3Destination,
)
from replicator.config.place import CloudDestination
from replicator.source.checks.check import Check, Level, fail, ok, warn
from replicator.storage import CreateIfAbsent, StorageError, open_plain
from replicator.storage.survey import Survey, survey


def checks(config: Config, names: Sequence[str]) -> Iterator[Check]:
    """A line for each of the named destinations, all when none is named, and one for each broken promise."""
    chosen = list(names) or sorted(config.destinations)
    if not chosen:
        yield warn("destinations", "none is configured", "add one under `destinations:`")
    for name in chosen:
        yield from _examine(f"destination {name}", config.destination(name))


def _examine(label: str, destination: Destination) -> Iterator[Check]:
    try:
        store = open_plain(destination)
        try:
            seen = survey(store)
        finally:
            store.close()
    except StorageError as error:
        yield fail(label, error.message, error.next_step or "look at the provider's side")
        return
    shown = f"written in {seen.put_s * 1000:.0f} ms, read in {seen.get_s * 1000:.0f} ms, listed, deleted"
    if seen.create_if_absent != CreateIfAbsent.ATOMIC.value:
        shown += "; no create-if-absent: names carry the content's hash, so a second write is harmless"
    found = ok(label, shown)
    yield Check(found.name, found.level, found.found, found.fix, seen.as_dict())
    yield from (Check(label, *broken) for broken in broken_promises(destination, seen))


def broken_promises(destination: Destination, seen: Survey) -> Iterator[tuple[Level, str, str]]:
    """What the configuration asks for and the store doesn't do: how bad, what was found, what to do."""
    if not isinstance(destination, CloudDestination):
        return
    asked = destination.storage_class
    if asked is not None and (seen.storage_class or "").upper() != asked.upper():
        yield (
            Level.WARN,
            f"objects are stored as {seen.storage_class or 'no class at all'}, not as {asked}",
            "correct `storage_class`, or use a server that has classes",
        )
    encryption = _encryption(destination)
    if encryption is not None and encryption.lower() not in (seen.encryption or "").lower():
        yield (
            Level.FAIL,
            f"objects aren't encrypted as asked: the server says {seen.encryption or 'nothing'}, "
            f"not {encryption}",
            "correct the key, or use a server that encrypts: this one accepts the setting and drops it",
        )
    if destination.retention_days is not None and seen.object_lock is not True:
        said = "has no object lock" if seen.object_lock is False else "doesn't say whether it has object lock"
        yield (
            Level.WARN if seen.object_lock is None else Level.FAIL,
            f"`retention_days` is {destination.retention_days}, but the bucket {said}",
            "make a bucket with object lock (versioned immutability, object retention), or drop the setting",
        )


def _encryption(destination: CloudDestination) -> str | None:
    """A word that must be in what the server says of an object; None where nothing is asked for."""
    match destination:
        case S3Destination(encryption="sse-kms", kms_key_id=str(key)):
            return key
        case S3Destination(encryption="sse-kms"):
            return "aws:kms"
        case S3Destination(encryption="sse-s3" | "customer-key"):
            return "AES256"
        case AzureDestination(encryption_scope=str(scope)):
            return scope
        case GcsDestination(kms_key_name=str(key)):
            return key
        case B2Destination(encryption="sse-b2"):
            return "SSE-B2"
        case B2Destination(encryption="customer-key"):
            return "SSE-C"
        case AzureDestination() | GcsDestination() if destination.customer_key is not None:
            return "customer key"
    return None
