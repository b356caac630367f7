"""Google Cloud Storage, through google-cloud-storage. The SDK retries nothing; `retry` does."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import google.auth.exceptions
import google_crc32c
import requests
import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.storage import Blob
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from replicator.config import GcsDestination
from replicator.storage import gcs_errors
from replicator.storage.calls import Calls, create
from replicator.storage.check import refuse_mismatch
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.gcs_client import connect
from replicator.storage.listing import in_order
from replicator.storage.port import Capabilities, CreateIfAbsent, ObjectInfo, PutResult
from replicator.storage.probing import PROBES, Probe
from replicator.storage.survey import Facts, asked

# Wrong arguments, and credentials that aren't JSON, are ValueErrors.
_FAILURES = (
    GoogleAPICallError,
    InvalidResponse,
    DataCorruption,
    google.auth.exceptions.GoogleAuthError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
)
_FIELDS = "items(name,size,updated,metadata,crc32c,md5Hash,storageClass),nextPageToken"


class GcsStore:
    """One bucket, below one prefix. Safe to share between threads."""

    def __init__(self, destination: GcsDestination, *, part_bytes: int = 16 * 2**20) -> None:
        """Nothing is sent yet. Bodies above 8 MiB go by a resumable upload, in pieces of `part_bytes`.

        `part_bytes` is a multiple of 256 KiB. The SDK sets the bound, to Google's recommendation.
        """
        self._prefix = f"{destination.prefix}/" if destination.prefix else ""
        self._where = f"GCS bucket {destination.bucket!r} at {destination.endpoint_url or 'Google'}"
        self._call = Calls(self._where, _FAILURES, gcs_errors.classify)
        self._destination = destination
        self._part_bytes = part_bytes
        self._probe = Probe(self._create_probe, self._send_wrong)
        self._client = self._call("connect", "", lambda: connect(destination))
        self._bucket = self._client.bucket(destination.bucket)
        key = destination.customer_key
        self._key = None if key is None else base64.b64decode(key.get_secret_value())

    @property
    def capabilities(self) -> Capabilities:
        """See the port; asked of the bucket by the first call, which leaves small objects in it."""
        return self._probe.capabilities()

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port. Google compares a CRC32C, so the SHA-256 is compared here."""
        refuse_mismatch(body, sha256, f"{self._where}: PUT {key}")
        if not if_absent:
            self._send(key, body, sha256, google_crc32c.value(body), False)
            return PutResult.CREATED
        return create(
            self.head,
            key,
            lambda: self._send(key, body, sha256, google_crc32c.value(body), True),
            atomic=self.capabilities.create_if_absent is CreateIfAbsent.ATOMIC,
            held="retentionPolicyNotMet",
        )

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port."""
        first = start or 0
        if end is not None and end <= first:
            self.head(key)
            return b""
        whole = start is None and end is None
        # The SDK's end is inclusive; of a part nobody knows a checksum.
        span: dict[str, Any] = {} if whole else {"start": first, "end": None if end is None else end - 1}
        try:
            body: bytes = self._call(
                "GET",
                key,
                lambda: self._blob(key).download_as_bytes(
                    raw_download=True, checksum="crc32c" if whole else None, retry=None, **span
                ),
            )
        except StorageError as error:
            if error.code == "416":
                return b""
            if error.kind is ErrorKind.NOT_FOUND:
                self._check_bucket()
            raise
        return body

    def head(self, key: str) -> ObjectInfo:
        """See the port. The SHA-256 is the one sent beside the body; CRC32C and MD5 are Google's own."""
        blob = self._blob(key)
        try:
            self._call("HEAD", key, lambda: blob.reload(retry=None))
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                self._check_bucket()
            raise
        return _info(key, blob)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port. A listing tells the checksums, too."""
        return in_order(self.pages(prefix, start_after), f"{self._where}: LIST {prefix}", start_after)

    def pages(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """See `survey.Described`. The start is inclusive."""
        after = {"start_offset": self._prefix + start_after} if start_after else {}
        try:
            for blob in self._client.list_blobs(
                self._bucket, prefix=self._prefix + prefix, fields=_FIELDS, retry=None, **after
            ):
                yield _info(blob.name[len(self._prefix) :], blob)
        except _FAILURES as error:
            found = gcs_errors.classify(error, f"{self._where}: LIST {prefix}")
            # Only the bucket can be missing here.
            raise self._no_bucket() if found.kind is ErrorKind.NOT_FOUND else found from error

    def facts(self, key: str) -> Facts:
        """See `survey.Described`. What needs storage.buckets.get is left out without that right."""
        blob = self._blob(key)
        self._call("HEAD", key, lambda: blob.reload(retry=None))
        bucket = self._client.bucket(self._destination.bucket)
        known = asked(lambda: self._call("GET bucket", "", lambda: bucket.reload(retry=None)) or True)
        return Facts(
            encryption=blob.kms_key_name or ("customer key" if self._key else "Google's own key"),
            versioning=bool(bucket.versioning_enabled) if known else None,
            object_lock=bucket.object_retention_mode == "Enabled" if known else None,
            location=bucket.location if known else None,
        )

    def delete(self, key: str) -> None:
        """See the port. In a bucket with versions the older ones stay."""
        try:
            self._call("DELETE", key, lambda: self._blob(key).delete(retry=None))
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def _send(self, key: str, body: bytes, sha256: str, crc32c: int, if_absent: bool) -> None:
        destination = self._destination
        blob = self._blob(key)
        blob.metadata = {"sha256": sha256}
        blob.crc32c = base64.b64encode(crc32c.to_bytes(4, "big")).decode()
        if destination.storage_class is not None:
            blob.storage_class = destination.storage_class
        if destination.retention_days is not None and not key.startswith(PROBES):
            # Google's words for who may shorten it: Unlocked and Locked.
            blob.retention.mode = "Locked" if destination.retention_mode == "compliance" else "Unlocked"
            blob.retention.retain_until_time = datetime.now(UTC) + timedelta(days=destination.retention_days)
        try:
            self._call(
                "PUT",
                key,
                lambda: blob.upload_from_string(
                    body,
                    content_type="application/octet-stream",
                    # Ours goes with the object's other properties, before the body: Google compares it.
                    checksum=None,
                    if_generation_match=0 if if_absent else None,
                    retry=None,
                ),
            )
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise self._no_bucket() from error
            raise

    def _create_probe(self, key: str, body: bytes) -> None:
        self._send(key, body, hashlib.sha256(body).hexdigest(), google_crc32c.value(body), True)

    def _send_wrong(self, key: str, body: bytes) -> None:
        wrong = google_crc32c.value(b"another")
        self._send(key, body, hashlib.sha256(body).hexdigest(), wrong, False)

    def _check_bucket(self) -> None:
        # Of an object and of a bucket Google says the same: not found. Listing needs no right of its own.
        for _ in self.pages(f"{PROBES}create-if-absent", None):
            return

    def _no_bucket(self) -> StorageError:
        return StorageError(
            f"{self._where}: the bucket doesn't exist.",
            kind=ErrorKind.FATAL,
            code="notFound",
            next_step=gcs_errors.NO_BUCKET,
        )

    def _blob(self, key: str) -> Blob:
        return self._bucket.blob(
            self._prefix + key,
            chunk_size=self._part_bytes,
            encryption_key=self._key,
            kms_key_name=self._destination.kms_key_name,
        )


def _info(key: str, blob: Any) -> ObjectInfo:
    sums = {"crc32c": blob.crc32c, "md5": blob.md5_hash}
    return ObjectInfo(
        key,
        blob.size,
        (blob.metadata or {}).get("sha256"),
        blob.updated,
        blob.storage_class,
        {name: base64.b64decode(value).hex() for name, value in sums.items() if value},
    )
