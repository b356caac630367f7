"""Azure Blob Storage, through azure-storage-blob. The SDK retries nothing; `retry` does."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.core.exceptions
import requests
from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, BlobClient, BlobProperties, ImmutabilityPolicy, StandardBlobTier

from replicator.config import AzureDestination
from replicator.storage import azure_errors
from replicator.storage.azure_client import connect, customer_key
from replicator.storage.calls import Calls, create
from replicator.storage.check import refuse_mismatch
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.listing import in_order
from replicator.storage.port import Capabilities, CreateIfAbsent, ObjectInfo, PutResult
from replicator.storage.probing import PROBES, Probe
from replicator.storage.survey import Facts

# The SDK answers some wrong arguments (a customer's key without TLS, for one) with a ValueError.
_FAILURES = (azure.core.exceptions.AzureError, requests.RequestException, OSError, ValueError)


class AzureStore:
    """One container, below one prefix. Safe to share between threads."""

    def __init__(
        self,
        destination: AzureDestination,
        *,
        block_blob_bytes: int = 64 * 2**20,
        block_bytes: int = 16 * 2**20,
    ) -> None:
        """Nothing is sent yet. Bodies above `block_blob_bytes` go in blocks of `block_bytes`."""
        self._prefix = f"{destination.prefix}/" if destination.prefix else ""
        self._where = f"Azure container {destination.container!r} at {destination.account_url}"
        self._call = Calls(self._where, _FAILURES, azure_errors.classify)
        self._block_blob_bytes = block_blob_bytes
        self._block_bytes = block_bytes
        self._destination = destination
        self._probe = Probe(self._create_probe, self._send_wrong)
        self._client = self._call("connect", "", lambda: connect(destination))
        key = customer_key(destination)
        self._key: dict[str, Any] = {} if key is None else {"cpk": key}

    @property
    def capabilities(self) -> Capabilities:
        """See the port; asked of the container by the first call, which leaves small objects in it."""
        return self._probe.capabilities()

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port. Azure compares an MD5, so the SHA-256 is compared here."""
        refuse_mismatch(body, sha256, f"{self._where}: PUT {key}")
        send = self._put_blocks if len(body) > self._block_blob_bytes else self._put_one
        if not if_absent:
            send(key, body, sha256, False)
            return PutResult.CREATED
        return create(
            self.head,
            key,
            lambda: send(key, body, sha256, True),
            atomic=self.capabilities.create_if_absent is CreateIfAbsent.ATOMIC,
            held="BlobImmutableDueToPolicy",
        )

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port."""
        first = start or 0
        if end is not None and end <= first:
            self.head(key)
            return b""
        whole = start is None and end is None
        span: dict[str, Any] = {}
        if not whole:
            # The SDK sends a length as an end beyond which Azure cuts by itself.
            span = {"offset": first, "length": None if end is None else end - first}
        try:
            body: bytes = self._call(
                "GET", key, lambda: self._blob(key).download_blob(**span, **self._key).readall()
            )
        except StorageError as error:
            if error.code in ("InvalidRange", "416"):
                return b""
            raise
        return body

    def head(self, key: str) -> ObjectInfo:
        """See the port. The SHA-256 is the one sent beside the body; the MD5 is Azure's own."""
        return _info(key, self._call("HEAD", key, lambda: self._blob(key).get_blob_properties(**self._key)))

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port. A listing tells the SHA-256, too; an account that knows no start is read from 0."""
        return in_order(self.pages(prefix, start_after), f"{self._where}: LIST {prefix}", start_after)

    def pages(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """See `survey.Described`. The start is inclusive."""
        after: dict[str, Any] = {"start_from": self._prefix + start_after} if start_after else {}
        try:
            for blob in self._client.list_blobs(
                name_starts_with=self._prefix + prefix, include=["metadata"], **after
            ):
                yield _info(blob.name[len(self._prefix) :], blob)
        except _FAILURES as error:
            raise azure_errors.classify(error, f"{self._where}: LIST {prefix}") from error

    def facts(self, key: str) -> Facts:
        """See `survey.Described`."""
        blob = self._call("HEAD", key, lambda: self._blob(key).get_blob_properties(**self._key))
        container = self._call("GET container", "", lambda: self._client.get_container_properties())
        encryption = "customer key" if blob.encryption_key_sha256 else blob.encryption_scope
        return Facts(
            encryption=encryption or ("account key" if blob.server_encrypted else None),
            versioning=blob.version_id is not None,
            object_lock=bool(getattr(container, "immutable_storage_with_versioning_enabled", False)),
            location=None,
        )

    def delete(self, key: str) -> None:
        """See the port."""
        try:
            self._call("DELETE", key, lambda: self._blob(key).delete_blob(delete_snapshots="include"))
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def _put_one(self, key: str, body: bytes, sha256: str, if_absent: bool) -> None:
        self._send(key, body, sha256, hashlib.md5(body, usedforsecurity=False).digest(), if_absent)

    def _send(self, key: str, body: bytes, sha256: str, md5: bytes, if_absent: bool) -> None:
        self._call(
            "PUT",
            key,
            lambda: self._blob(key).upload_blob(
                body,
                length=len(body),
                overwrite=not if_absent,
                metadata={"sha256": sha256},
                headers={"Content-MD5": base64.b64encode(md5).decode()},
                **self._settings(key),
            ),
        )

    def _put_blocks(self, key: str, body: bytes, sha256: str, if_absent: bool) -> None:
        # Blocks of one blob share a space of names: another writer's must not get between ours.
        upload = uuid.uuid4().hex
        blocks = []
        for number, start in enumerate(range(0, len(body), self._block_bytes)):
            name = f"{upload}{number:06d}"
            self._put_block(key, name, body[start : start + self._block_bytes])
            blocks.append(BlobBlock(name))
        condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if if_absent else {}
        self._call(
            "PUT",
            key,
            lambda: self._blob(key).commit_block_list(
                blocks, metadata={"sha256": sha256}, **condition, **self._settings(key)
            ),
        )

    def _put_block(self, key: str, name: str, block: bytes) -> None:
        md5 = base64.b64encode(hashlib.md5(block, usedforsecurity=False).digest()).decode()
        scope = self._destination.encryption_scope
        more = {**self._key, **({"encryption_scope": scope} if scope else {})}
        self._call(
            "PUT",
            key,
            lambda: self._blob(key).stage_block(
                name, block, length=len(block), headers={"Content-MD5": md5}, **more
            ),
        )

    def _settings(self, key: str) -> dict[str, Any]:
        destination = self._destination
        settings: dict[str, Any] = dict(self._key)
        if destination.encryption_scope is not None:
            settings["encryption_scope"] = destination.encryption_scope
        if destination.storage_class is not None:
            settings["standard_blob_tier"] = StandardBlobTier(destination.storage_class)
        if destination.retention_days is not None and not key.startswith(PROBES):
            settings["immutability_policy"] = ImmutabilityPolicy(
                expiry_time=datetime.now(UTC) + timedelta(days=destination.retention_days),
                policy_mode="Locked" if destination.retention_mode == "compliance" else "Unlocked",
            )
        return settings

    def _create_probe(self, key: str, body: bytes) -> None:
        self._put_one(key, body, hashlib.sha256(body).hexdigest(), True)

    def _send_wrong(self, key: str, body: bytes) -> None:
        wrong = hashlib.md5(b"another", usedforsecurity=False).digest()
        self._send(key, body, hashlib.sha256(body).hexdigest(), wrong, False)

    def _blob(self, key: str) -> BlobClient:
        return self._client.get_blob_client(self._prefix + key)


def _info(key: str, blob: BlobProperties) -> ObjectInfo:
    md5 = blob.content_settings.content_md5
    metadata = {name.lower(): value for name, value in (blob.metadata or {}).items()}
    tier = blob.blob_tier
    return ObjectInfo(
        key,
        blob.size,
        metadata.get("sha256"),
        blob.last_modified,
        None if tier is None else str(getattr(tier, "value", tier)),
        {"md5": bytes(md5).hex()} if md5 else {},
    )
