"""Backblaze B2 by the simulator that b2sdk brings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from b2sdk.v3 import RawSimulator

from replicator.config import B2Destination, Destination
from replicator.storage import CreateIfAbsent, ErrorKind, ObjectStore
from replicator.storage.b2 import B2Store
from replicator.storage.b2_client import connect
from tests.contract.clouds.b2_server import served
from tests.contract.clouds.port import LOW_BOUND, LOW_PART, Answer, Known
from tests.faults.proxy import Request, Respond

ANSWERS = (
    Answer(503, "", ErrorKind.TRANSIENT),
    Answer(500, "", ErrorKind.TRANSIENT),
    Answer(408, "", ErrorKind.TRANSIENT),
    Answer(429, "", ErrorKind.THROTTLED),
    Answer(401, "", ErrorKind.AUTH),
    Answer(403, "", ErrorKind.AUTH),
    Answer(403, "storage_cap_exceeded", ErrorKind.FATAL),
    Answer(400, "bad_request", ErrorKind.FATAL),
    Answer(418, "", ErrorKind.FATAL),
)
_CODES = {401: "unauthorized", 403: "access_denied"}


@dataclass(frozen=True, slots=True)
class B2Cloud:
    """An account in a simulator of its own, at `url` over HTTP."""

    simulator: Any
    url: str
    key_id: str
    key: str
    name: str = "b2"
    answers: tuple[Answer, ...] = ANSWERS
    throttled: tuple[int, str] = (429, "")
    skewed: tuple[int, str] | None = None
    wrong_credentials: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "application_key_id": {"application_key_id": "wrong-wrong-wrong"},
            "application_key": {"application_key": "wrong-wrong-wrong"},
        }
    )
    known: Known = field(
        default_factory=lambda: Known(
            create_if_absent=CreateIfAbsent.CHECKED,
            lists_sha256=True,
            keeps_time=False,
            refuses_a_clock_that_is_off=False,
            versioning=True,
            object_lock=False,
        )
    )

    def admin(self) -> Any:
        """An authorized session, for what tests do behind the adapter's back."""
        session = connect(self.destination("any"), lambda _: self.simulator)
        session.authorize_account("production", self.key_id, self.key)
        return session

    @contextmanager
    def container(self) -> Iterator[str]:
        # The simulator is forgotten as a whole; nothing needs to be removed from it.
        session = self.admin()
        name = f"contract-{uuid4().hex[:12]}"
        session.create_bucket(
            session.account_info.get_account_id(), name, "allPrivate", is_file_lock_enabled=False
        )
        yield name

    def destination(self, container: str, *, url: str | None = None, **changes: Any) -> B2Destination:
        fields: dict[str, Any] = {
            "type": "b2",
            "bucket": container,
            "application_key_id": self.key_id,
            "application_key": self.key,
            "realm": url or self.url,
            "connect_timeout_s": 2.0,
            "read_timeout_s": 5.0,
            **changes,
        }
        return B2Destination(**fields)

    def open(self, destination: Destination) -> ObjectStore:
        assert isinstance(destination, B2Destination)
        return B2Store(destination, large_bytes=LOW_BOUND, part_bytes=LOW_PART)

    def open_inside(self, destination: B2Destination) -> ObjectStore:
        """The adapter on the simulator itself, which knows more than what goes over HTTP here."""
        return B2Store(destination, raw_api=lambda _: self.simulator)

    def is_write(self, request: Request) -> bool:
        return request.method == "POST" and "/uploads/" in request.target

    def is_list(self, request: Request) -> bool:
        return request.target.endswith("b2_list_file_names")

    def is_read(self, request: Request) -> bool:
        return request.method == "GET"

    def respond(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> Respond:
        told = {"status": status, "code": code or _CODES.get(status, "any"), "message": "injected"}
        return Respond(
            status, json.dumps(told).encode(), {"content-type": "application/json", **(headers or {})}
        )


@contextmanager
def b2_cloud() -> Iterator[B2Cloud]:
    simulator = RawSimulator()
    key_id, key = simulator.create_account()
    with served(simulator) as url:
        yield B2Cloud(simulator, url, key_id, key)
