"""Azure by Azurite."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from azure.storage.blob import BlobServiceClient, ContainerClient
from pydantic import SecretStr

from replicator.config import AzureDestination, Destination
from replicator.storage import ErrorKind, ObjectStore
from replicator.storage.azure import AzureStore
from tests.contract.clouds.port import LOW_BOUND, LOW_PART, Answer, Known
from tests.faults.proxy import Request, Respond

ANSWERS = (
    Answer(503, "ServerBusy", ErrorKind.THROTTLED),
    Answer(429, "", ErrorKind.THROTTLED),
    Answer(500, "InternalError", ErrorKind.TRANSIENT),
    Answer(500, "OperationTimedOut", ErrorKind.TRANSIENT),
    Answer(502, "", ErrorKind.TRANSIENT),
    Answer(400, "Md5Mismatch", ErrorKind.CORRUPT),
    Answer(403, "AuthenticationFailed", ErrorKind.AUTH),
    Answer(403, "AuthorizationPermissionMismatch", ErrorKind.AUTH),
    Answer(401, "", ErrorKind.AUTH),
    Answer(404, "ContainerNotFound", ErrorKind.FATAL),
    Answer(409, "ContainerBeingDeleted", ErrorKind.FATAL),
    Answer(404, "EncryptionScopeNotFound", ErrorKind.FATAL),
    Answer(409, "LeaseIdMissing", ErrorKind.FATAL),
    Answer(418, "NeverSeenBefore", ErrorKind.FATAL),
    Answer(501, "", ErrorKind.FATAL),
)


@dataclass(frozen=True, slots=True)
class AzureCloud:
    """An account of Azurite."""

    account_url: str
    account_key: str
    name: str = "azurite"
    known: Known = field(
        default_factory=lambda: Known(
            lists_sha256=True, lists_after=False, versioning=False, object_lock=False, storage_class="Hot"
        )
    )
    answers: tuple[Answer, ...] = ANSWERS
    throttled: tuple[int, str] = (503, "ServerBusy")
    skewed: tuple[int, str] = (403, "AuthenticationFailed")
    wrong_credentials: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "account_key": {"account_key": base64.b64encode(b"wrong-wrong-wrong").decode()},
        }
    )

    @property
    def url(self) -> str:
        parts = urlsplit(self.account_url)
        return f"{parts.scheme}://{parts.netloc}"

    def admin(self, container: str) -> ContainerClient:
        """A plain client, for what tests do behind the adapter's back."""
        service = BlobServiceClient(self.account_url, credential=self.account_key)
        return service.get_container_client(container)

    @contextmanager
    def container(self) -> Iterator[str]:
        name = f"contract-{uuid4().hex[:12]}"
        admin = self.admin(name)
        admin.create_container()
        try:
            yield name
        finally:
            admin.delete_container()

    def destination(self, container: str, *, url: str | None = None, **changes: Any) -> AzureDestination:
        fields: dict[str, Any] = {
            "type": "azure",
            "container": container,
            "account_url": (url or self.url) + urlsplit(self.account_url).path,
            "account_key": SecretStr(self.account_key),
            "connect_timeout_s": 2.0,
            "read_timeout_s": 5.0,
            **changes,
        }
        return AzureDestination(**fields)

    def open(self, destination: Destination) -> ObjectStore:
        assert isinstance(destination, AzureDestination)
        return AzureStore(destination, block_blob_bytes=LOW_BOUND, block_bytes=LOW_PART)

    def is_write(self, request: Request) -> bool:
        return request.method == "PUT"

    def is_list(self, request: Request) -> bool:
        return request.method == "GET" and "comp=list" in request.target

    def is_read(self, request: Request) -> bool:
        return request.method == "GET" and not self.is_list(request)

    def respond(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> Respond:
        document = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
        told = {"x-ms-error-code": code} if code else {}
        return Respond(status, document.encode() if code else b"", {**told, **(headers or {})})
