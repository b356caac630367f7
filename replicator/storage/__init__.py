"""Destinations behind one port: S3, Azure, GCS, B2, a directory, and the in-memory one that tests use."""

from __future__ import annotations

from collections.abc import Callable

from replicator.config import AzureDestination, Destination, FileDestination, GcsDestination, S3Destination
from replicator.config.place import CloudDestination
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.limit import LimitedStore
from replicator.storage.port import Capabilities, CreateIfAbsent, ObjectInfo, ObjectStore, PutResult
from replicator.storage.retry import FOREVER, Retry, RetryingStore, RetryPolicy

__all__ = [
    "FOREVER",
    "Capabilities",
    "CreateIfAbsent",
    "ErrorKind",
    "ObjectInfo",
    "ObjectStore",
    "PutResult",
    "Retry",
    "RetryPolicy",
    "RetryingStore",
    "StorageError",
    "open_limited",
    "open_plain",
    "open_store",
]


def open_store(
    destination: Destination,
    policy: RetryPolicy | None = None,
    *,
    on_retry: Callable[[Retry], None] | None = None,
    on_settled: Callable[[str, str], None] | None = None,
    wait: Callable[[float], bool] | None = None,
) -> RetryingStore:
    """The destination's store with retries around it: a minute by default, `FOREVER` for a writer.

    `on_retry` is told of each retry, `on_settled` when a retried call is over; `wait`
    waits and says whether to give up (`threading.Event().wait`).
    `StorageError` when it can't even be opened; an object store is first asked by the first call.
    """
    more = {
        name: given
        for name, given in (("on_retry", on_retry), ("on_settled", on_settled), ("wait", wait))
        if given is not None
    }
    return RetryingStore(open_limited(destination), policy, **more)  # type: ignore[arg-type]


def open_limited(destination: Destination) -> ObjectStore:
    """The destination's store with its bound on requests at a time, each error told at once: for those who
    decide about retries themselves."""
    store = open_plain(destination)
    if isinstance(destination, CloudDestination) and destination.concurrency is not None:
        # Inside of any retries: who waits for the next attempt takes nobody's place.
        return LimitedStore(store, destination.concurrency)
    return store


def open_plain(destination: Destination) -> ObjectStore:
    """The destination's adapter as it is, each error told at once: for probes and for tests."""
    if isinstance(destination, FileDestination):
        from replicator.storage.file import FileStore

        return FileStore(destination.path, destination.prefix)
    # The SDKs take a third of a second and more to import; a command that has no bucket needn't wait for it.
    if isinstance(destination, S3Destination):
        from replicator.storage.s3 import S3Store

        return S3Store(destination)
    if isinstance(destination, AzureDestination):
        from replicator.storage.azure import AzureStore

        return AzureStore(destination)
    if isinstance(destination, GcsDestination):
        from replicator.storage.gcs import GcsStore

        return GcsStore(destination)
    from replicator.storage.b2 import B2Store

    return B2Store(destination)
