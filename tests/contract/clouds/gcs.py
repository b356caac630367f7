"""Google Cloud Storage by fake-gcs-server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from replicator.config import Destination, GcsDestination
from replicator.storage import ErrorKind, ObjectStore
from replicator.storage.gcs import GcsStore
from tests.contract.clouds.port import LOW_PART, Answer, Known
from tests.faults.proxy import Request, Respond

ANSWERS = (
    Answer(429, "rateLimitExceeded", ErrorKind.THROTTLED),
    Answer(429, "", ErrorKind.THROTTLED),
    Answer(403, "userRateLimitExceeded", ErrorKind.THROTTLED),
    Answer(503, "backendError", ErrorKind.TRANSIENT),
    Answer(500, "internalError", ErrorKind.TRANSIENT),
    Answer(502, "", ErrorKind.TRANSIENT),
    Answer(408, "uploadBrokenConnection", ErrorKind.TRANSIENT),
    Answer(401, "", ErrorKind.AUTH),
    Answer(403, "forbidden", ErrorKind.AUTH),
    Answer(403, "insufficientPermissions", ErrorKind.AUTH),
    Answer(403, "quotaExceeded", ErrorKind.FATAL),
    Answer(403, "accountDisabled", ErrorKind.FATAL),
    Answer(400, "invalid", ErrorKind.FATAL),
    Answer(418, "neverSeenBefore", ErrorKind.FATAL),
    Answer(501, "", ErrorKind.FATAL),
)


@dataclass(frozen=True, slots=True)
class GcsCloud:
    """fake-gcs-server. It asks for no credentials at all."""

    url: str
    project: str
    name: str = "gcs"
    known: Known = field(
        default_factory=lambda: Known(
            lists_sha256=True,
            refuses_wrong_credentials=False,
            refuses_a_clock_that_is_off=False,
            versioning=False,
            object_lock=False,
            storage_class="STANDARD",
        )
    )
    answers: tuple[Answer, ...] = ANSWERS
    throttled: tuple[int, str] = (503, "backendError")
    skewed: tuple[int, str] = (403, "forbidden")
    wrong_credentials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def admin(self) -> Client:
        """A plain client, for what tests do behind the adapter's back."""
        return Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.url),
        )

    @contextmanager
    def container(self) -> Iterator[str]:
        name = f"contract-{uuid4().hex[:12]}"
        admin = self.admin()
        bucket = admin.create_bucket(name)
        try:
            yield name
        finally:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda blob: blob.delete(), admin.list_blobs(bucket)))
            bucket.delete()

    def destination(self, container: str, *, url: str | None = None, **changes: Any) -> GcsDestination:
        fields: dict[str, Any] = {
            "type": "gcs",
            "bucket": container,
            "endpoint_url": url or self.url,
            "anonymous": True,
            "connect_timeout_s": 2.0,
            "read_timeout_s": 5.0,
            **changes,
        }
        return GcsDestination(**fields)

    def open(self, destination: Destination) -> ObjectStore:
        assert isinstance(destination, GcsDestination)
        return GcsStore(destination, part_bytes=LOW_PART)

    def is_write(self, request: Request) -> bool:
        return request.method in ("POST", "PUT") and "/upload/" in request.target

    def is_list(self, request: Request) -> bool:
        return request.method == "GET" and "/o?" in request.target

    def is_read(self, request: Request) -> bool:
        return request.method == "GET" and "alt=media" in request.target

    def respond(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> Respond:
        error = {"code": status, "message": "injected", "errors": [{"reason": code, "message": "injected"}]}
        body = json.dumps({"error": error}).encode() if code else b""
        return Respond(status, body, {"content-type": "application/json", **(headers or {})})
