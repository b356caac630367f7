"""The stores of the suite, each in a place of its own, with what is behind them known to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replicator.storage import ObjectStore
from replicator.storage.file import FileStore
from replicator.storage.memory import MemoryStore
from tests.contract.clouds.port import PREFIX, Cloud, Known


@dataclass(frozen=True, slots=True)
class Subject:
    """One store under test. `reopen` gives another one on the same place, as another process would see it."""

    name: str
    store: ObjectStore
    reopen: Callable[[], ObjectStore]
    known: Known


@contextmanager
def memory_subject() -> Iterator[Subject]:
    store = MemoryStore()
    yield Subject("memory", store, lambda: store, Known())


@contextmanager
def file_subject(directory: Path) -> Iterator[Subject]:
    def open_it() -> ObjectStore:
        return FileStore(directory, PREFIX)

    yield Subject("file", open_it(), open_it, Known())


@contextmanager
def cloud_subject(cloud: Cloud) -> Iterator[Subject]:
    with cloud.container() as container:
        destination = cloud.destination(container, prefix=PREFIX)

        def open_it() -> ObjectStore:
            return cloud.open(destination)

        yield Subject(cloud.name, open_it(), open_it, cloud.known)
