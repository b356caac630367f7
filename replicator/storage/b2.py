"""Backblaze B2 by its native API, through b2sdk. The SDK retries nothing; `retry` does.

B2 knows no condition on a put, and keeps every version of a name: a second put of one name hides the first.
Names of segments hold their content's hash, so both are the same bytes.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import requests
import urllib3.exceptions
from b2sdk.v3 import FileRetentionSetting, RetentionMode
from b2sdk.v3 import exception as b2

from replicator.config import B2Destination
from replicator.storage import b2_errors
from replicator.storage.b2_client import RawApi, authorize, connect, encryption
from replicator.storage.calls import Calls, exists
from replicator.storage.check import refuse_mismatch
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.http_body import Body
from replicator.storage.listing import in_order
from replicator.storage.port import Capabilities, ObjectInfo, PutResult
from replicator.storage.probing import PROBES, Probe
from replicator.storage.survey import Facts

_FAILURES = (b2.B2Error, requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_TYPE = "application/octet-stream"
_PAGE = 1000
_PIECE = 16 * 2**20


class B2Store:
    """One bucket, below one prefix. Safe to share between threads."""

    def __init__(
        self,
        destination: B2Destination,
        *,
        large_bytes: int = 64 * 2**20,
        part_bytes: int = 16 * 2**20,
        raw_api: Callable[[Any], Any] = RawApi,
    ) -> None:
        """Nothing is sent yet. Bodies above `large_bytes` go in parts of `part_bytes` (5 MB or more)."""
        self._prefix = f"{destination.prefix}/" if destination.prefix else ""
        self._where = f"B2 bucket {destination.bucket!r}"
        self._call = Calls(self._where, _FAILURES, b2_errors.classify)
        self._destination = destination
        self._large_bytes = large_bytes
        self._part_bytes = part_bytes
        self._encryption = encryption(destination)
        self._probe = Probe(None, self._send_wrong)
        self._session = connect(destination, raw_api)
        self._opening = threading.Lock()
        self._found: str | None = None

    @property
    def capabilities(self) -> Capabilities:
        """See the port; asked of the bucket by the first call."""
        return self._probe.capabilities()

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port. B2 compares a SHA-1, so the SHA-256 is compared here."""
        refuse_mismatch(body, sha256, f"{self._where}: PUT {key}")
        if if_absent and exists(self.head, key):
            return PutResult.EXISTED
        if len(body) > self._large_bytes:
            self._put_large(key, body, sha256)
        else:
            self._send(key, body, sha256, _sha1(body))
        return PutResult.CREATED

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port."""
        first = start or 0
        if end is not None and end <= first:
            self.head(key)
            return b""
        whole = start is None and end is None
        span = None
        if not whole:
            # B2 cuts an end beyond the object's; there is none beyond 10 TB.
            span = (first, 10**13 if end is None else end - 1)
        self._bucket("GET", key)

        def fetch() -> bytes:
            url = self._session.get_download_url_by_name(self._destination.bucket, self._prefix + key)
            encrypted = self._encryption if self._destination.customer_key else None
            with self._session.download_file_from_url(url, range_=span, encryption=encrypted) as answer:
                return b"".join(answer.iter_content(_PIECE))

        try:
            return self._call("GET", key, fetch)
        except StorageError as error:
            if error.code == "UnsatisfiableRange":
                return b""
            raise

    def head(self, key: str) -> ObjectInfo:
        """See the port. The SHA-256 is the one sent beside the body; the SHA-1 is B2's own."""
        bucket = self._bucket("HEAD", key)
        name = self._prefix + key
        if self._destination.customer_key is not None:
            # B2 tells nothing of such an object without its key, which the SDK doesn't send here.
            page = self._call("HEAD", key, lambda: self._session.list_file_names(bucket, name, 1, name))
            for file in page["files"]:
                if file["fileName"] == name:
                    return _listed(key, file)
            raise StorageError(f"{self._where}: HEAD {key}: no such file.", kind=ErrorKind.NOT_FOUND)
        headers = self._call(
            "HEAD",
            key,
            lambda: self._session.get_file_info_by_name(self._destination.bucket, name),
        )
        sha256 = headers.get("x-bz-info-sha256")
        return ObjectInfo(
            key,
            int(headers["content-length"]),
            None if sha256 is None else unquote(sha256),
            _time(headers["x-bz-upload-timestamp"]),
            None,
            _sums(headers.get("x-bz-content-sha1")),
        )

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port. A listing tells the checksums, too."""
        doing = f"{self._where}: LIST {prefix}"
        return in_order(self.pages(prefix, start_after), doing, start_after)

    def delete(self, key: str) -> None:
        """See the port. All versions go: an older one would come back to light."""
        bucket = self._bucket("DELETE", key)
        name = self._prefix + key
        following: tuple[str | None, str | None] = (name, None)
        while following[0] == name:
            page = self._call(
                "DELETE",
                key,
                lambda at=following: self._session.list_file_versions(bucket, *at, _PAGE, name),  # type: ignore[misc]
            )
            for file in page["files"]:
                if file["fileName"] == name:
                    self._call(
                        "DELETE",
                        key,
                        lambda file=file: self._session.delete_file_version(file["fileId"], name),  # type: ignore[misc]
                    )
            following = (page["nextFileName"], page["nextFileId"])

    def facts(self, key: str) -> Facts:
        """See `survey.Described`. B2 keeps versions always."""
        bucket = self._bucket("GET bucket", "")
        name = self._prefix + key
        page = self._call("HEAD", key, lambda: self._session.list_file_names(bucket, name, 1, name))
        algorithm = (page["files"][0].get("serverSideEncryption") or {}) if page["files"] else {}
        account = self._session.account_info.get_account_id()
        found = self._call(
            "GET bucket", "", lambda: self._session.list_buckets(account, bucket_id=bucket)["buckets"]
        )[0]
        lock = (found.get("fileLockConfiguration") or {}).get("value") or {}
        return Facts(
            encryption=algorithm.get("mode"),
            versioning=True,
            object_lock=lock.get("isFileLockEnabled"),
            location=None,
        )

    def close(self) -> None:
        """See the port; the SDK keeps its connections until it is forgotten."""

    def _bucket(self, operation: str, key: str) -> str:
        """The bucket's id, asked for once; the keys are exchanged for a token with it."""
        with self._opening:
            if self._found is None:
                name = self._destination.bucket

                def find() -> Any:
                    authorize(self._session, self._destination, self._where)
                    account = self._session.account_info.get_account_id()
                    return self._session.list_buckets(account, bucket_name=name)["buckets"]

                buckets = self._call(operation, key, find)
                if not buckets:
                    raise StorageError(
                        f"{self._where}: the bucket doesn't exist.",
                        kind=ErrorKind.FATAL,
                        next_step=b2_errors.NO_BUCKET,
                    )
                self._found = str(buckets[0]["bucketId"])
            return self._found

    def pages(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """See `survey.Described`. The start is inclusive."""
        whole = self._prefix + prefix
        start: str | None = whole
        if start_after is not None and start_after.encode() > prefix.encode():
            if not start_after.startswith(prefix):
                return
            start = self._prefix + start_after
        bucket = self._bucket("LIST", prefix)
        while start is not None:
            page = self._call(
                "LIST",
                prefix,
                lambda at=start: self._session.list_file_names(bucket, at, _PAGE, whole),  # type: ignore[misc]
            )
            for file in page["files"]:
                yield _listed(file["fileName"][len(self._prefix) :], file)
            start = page["nextFileName"]

    def _send(self, key: str, body: bytes, sha256: str, sha1: str) -> None:
        bucket = self._bucket("PUT", key)
        self._call(
            "PUT",
            key,
            lambda: self._session.upload_file(
                bucket,
                self._prefix + key,
                len(body),
                _TYPE,
                sha1,
                {"sha256": sha256},
                Body(body),
                server_side_encryption=self._encryption,
                file_retention=self._retention(key),
            ),
        )

    def _put_large(self, key: str, body: bytes, sha256: str) -> None:
        bucket = self._bucket("PUT", key)
        started = self._call(
            "PUT",
            key,
            lambda: self._session.start_large_file(
                bucket,
                self._prefix + key,
                _TYPE,
                {"sha256": sha256, "large_file_sha1": _sha1(body)},
                server_side_encryption=self._encryption,
                file_retention=self._retention(key),
            ),
        )
        file_id = started["fileId"]
        try:
            sums = [
                self._put_part(key, file_id, number, body[start : start + self._part_bytes])
                for number, start in enumerate(range(0, len(body), self._part_bytes), start=1)
            ]
            self._call("PUT", key, lambda: self._session.finish_large_file(file_id, sums))
        except StorageError:
            # What can't be cancelled now is left to the bucket's lifecycle; the first error is told.
            with suppress(*_FAILURES):
                self._session.cancel_large_file(file_id)
            raise

    def _put_part(self, key: str, file_id: str, number: int, part: bytes) -> str:
        sha1 = _sha1(part)
        self._call(
            "PUT",
            key,
            lambda: self._session.upload_part(
                file_id,
                number,
                len(part),
                sha1,
                Body(part),
                server_side_encryption=self._encryption if self._destination.customer_key else None,
            ),
        )
        return sha1

    def _retention(self, key: str) -> Any:
        days = self._destination.retention_days
        if days is None or key.startswith(PROBES):
            return None
        until_ms = int((time.time() + days * 86400) * 1000)
        return FileRetentionSetting(RetentionMode(self._destination.retention_mode), until_ms)

    def _send_wrong(self, key: str, body: bytes) -> None:
        self._send(key, body, hashlib.sha256(body).hexdigest(), _sha1(b"another"))


def _sha1(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def _sums(sha1: str | None) -> dict[str, str]:
    # Of a large file B2 knows none, and says "none"; one it didn't compare itself it calls unverified.
    return {"sha1": sha1} if sha1 and len(sha1) == 40 else {}


def _time(milliseconds: str | int) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _listed(key: str, file: Any) -> ObjectInfo:
    return ObjectInfo(
        key,
        int(file["contentLength"]),
        file["fileInfo"].get("sha256"),
        _time(file["uploadTimestamp"]),
        None,
        _sums(file["contentSha1"]),
    )
