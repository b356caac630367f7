"""What tests need of a cloud, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from replicator.config import Destination
from replicator.storage import CreateIfAbsent, ErrorKind, ObjectStore
from tests.faults.proxy import Request, Respond

PREFIX = "some/prefix"
LOW_BOUND = 6 * 2**20
LOW_PART = 5 * 2**20
"""Bodies above go in parts of this size (S3 wants 5 MiB): low, so that the suite crosses the bound."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a stand-in does, where they differ. A test asserts it either way; none is skipped for it."""

    create_if_absent: CreateIfAbsent = CreateIfAbsent.ATOMIC
    refuses_wrong_checksum: bool = True
    refuses_wrong_credentials: bool = True
    refuses_a_clock_that_is_off: bool = True
    lists_after: bool = True
    """Whether `start_after` is the server's work; if not, the adapter reads from the beginning."""
    lists_sha256: bool = False
    """Whether a listing tells the checksum that was sent."""
    versioning: bool | None = None
    object_lock: bool | None = None
    storage_class: str | None = None
    """What it says of a new bucket, and of an object that was put without a class."""
    keeps_time: bool = True
    """Whether what it says of an object's age is true."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as the provider words it, and what it must be taken for."""

    status: int
    code: str
    kind: ErrorKind


class Cloud(Protocol):
    """One provider's stand-in, over HTTP, so that a proxy can break what goes there."""

    @property
    def name(self) -> str: ...

    @property
    def known(self) -> Known: ...

    @property
    def url(self) -> str:
        """Where it answers."""
        ...

    @property
    def answers(self) -> Sequence[Answer]: ...

    @property
    def throttled(self) -> tuple[int, str]:
        """How it asks for fewer requests."""
        ...

    @property
    def skewed(self) -> tuple[int, str] | None:
        """How it refuses a request whose time is off; None where nothing is signed with a time."""
        ...

    @property
    def wrong_credentials(self) -> Mapping[str, Mapping[str, Any]]:
        """Changes of a destination that the provider refuses, by the key that the error must name."""
        ...

    def container(self) -> AbstractContextManager[str]:
        """A bucket of the test's own, emptied and removed afterwards."""
        ...

    def destination(self, container: str, *, url: str | None = None, **changes: Any) -> Destination:
        """The configuration of that bucket, by way of `url` (a proxy) if given, with short time-outs."""
        ...

    def open(self, destination: Destination) -> ObjectStore:
        """The adapter, with the low bounds above."""
        ...

    def is_write(self, request: Request) -> bool:
        """Whether the request carries a body to be stored."""
        ...

    def is_list(self, request: Request) -> bool:
        """Whether it asks for a page of a listing."""
        ...

    def is_read(self, request: Request) -> bool:
        """Whether it asks for a body."""
        ...

    def respond(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> Respond:
        """That error as the provider sends it."""
        ...
