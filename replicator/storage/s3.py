"""S3 and whatever speaks its protocol, through boto3.

A body is sent in pieces, so that a time-out means "no progress", however large the body and slow the line:
one `sendall` of it all would have to finish within the connect time-out. boto3 retries nothing; `retry` does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import botocore.exceptions
import botocore.parsers
import urllib3.exceptions

from replicator.config import S3Destination
from replicator.storage import s3_errors
from replicator.storage.calls import Calls, create
from replicator.storage.check import refuse_mismatch
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.http_body import Body
from replicator.storage.listing import in_order
from replicator.storage.port import Capabilities, CreateIfAbsent, ObjectInfo, PutResult
from replicator.storage.probing import Probe
from replicator.storage.s3_client import connect
from replicator.storage.s3_settings import Settings
from replicator.storage.survey import Facts, asked

_NO_CONDITIONS = ("NotImplemented", "501", "InvalidRequest", "InvalidArgument")
_FAILURES = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    boto3.exceptions.Boto3Error,
    botocore.parsers.ResponseParserError,
    urllib3.exceptions.HTTPError,
    OSError,
)


class S3Store:
    """One bucket, below one prefix. Safe to share between threads."""

    def __init__(
        self,
        destination: S3Destination,
        *,
        multipart_bytes: int = 64 * 2**20,
        part_bytes: int = 16 * 2**20,
    ) -> None:
        """Nothing is sent yet. Bodies above `multipart_bytes` go in parts of `part_bytes` (5 MiB or more)."""
        self._bucket = destination.bucket
        self._prefix = f"{destination.prefix}/" if destination.prefix else ""
        self._where = f"S3 bucket {destination.bucket!r} at {destination.address or 'AWS'}"
        self._call = Calls(self._where, _FAILURES, s3_errors.classify)
        self._settings = Settings(destination)
        self._compares_sha256 = destination.checksum_kind == "sha256"
        self._multipart_bytes = multipart_bytes
        self._part_bytes = part_bytes
        self._probe = Probe(self._create_probe, self._send_wrong, unsupported=_NO_CONDITIONS)
        self._client = self._call("connect", "", lambda: connect(destination))

    @property
    def capabilities(self) -> Capabilities:
        """What the bucket does when asked, not what its maker says; leaves small objects in `v1/probe/`."""
        return self._probe.capabilities()

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port. What the store doesn't compare with its checksum is compared here."""
        can = self.capabilities
        compared = can.refuses_wrong_checksum and self._compares_sha256
        if not compared:
            refuse_mismatch(body, sha256, f"{self._where}: PUT {key}")
        send = self._put_parts if len(body) > self._multipart_bytes else self._put_one
        if not if_absent:
            send(key, body, sha256, {})
            return PutResult.CREATED
        atomic = can.create_if_absent is CreateIfAbsent.ATOMIC
        condition = {"IfNoneMatch": "*"} if atomic else {}
        return create(self.head, key, lambda: send(key, body, sha256, condition), atomic=atomic)

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port. A short body is TRANSIENT: the connection broke, the object is what it was."""
        first = start or 0
        if end is not None and end <= first:
            self.head(key)
            return b""
        whole = start is None and end is None
        span: dict[str, Any] = {} if whole else {"Range": f"bytes={first}-{'' if end is None else end - 1}"}

        def fetch() -> tuple[bytes, int, int]:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + key, **span, **self._settings.key
            )
            status = answer["ResponseMetadata"]["HTTPStatusCode"]
            with answer["Body"] as stream:
                return stream.read(), answer["ContentLength"], status

        try:
            body, announced, status = self._call("GET", key, fetch)
        except StorageError as error:
            if error.code in ("InvalidRange", "416"):
                return b""
            raise
        if len(body) != announced:
            raise StorageError(
                f"{self._where}: GET {key}: {len(body)} of {announced} bytes arrived.",
                kind=ErrorKind.TRANSIENT,
            )
        # A server may ignore the range and send everything with status 200 (RFC 9110, 14.2).
        return body if whole or status == 206 else body[first:end]

    def head(self, key: str) -> ObjectInfo:
        """See the port. The checksum is the one the store computed, or else the one sent beside the body."""
        try:
            answer = self._call(
                "HEAD",
                key,
                lambda: self._client.head_object(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    **self._settings.tell_checksums(),
                    **self._settings.key,
                ),
            )
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                self._check_bucket()
            raise
        return _info(key, answer)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port."""
        return in_order(self.pages(prefix, start_after), f"{self._where}: LIST {prefix}", start_after)

    def delete(self, key: str) -> None:
        """See the port. In a versioned bucket the older versions stay."""
        self._call(
            "DELETE", key, lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
        )

    def facts(self, key: str) -> Facts:
        """See `survey.Described`."""
        bucket: Any = {"Bucket": self._bucket}
        head: Any = self._call(
            "HEAD",
            key,
            lambda: self._client.head_object(**bucket, Key=self._prefix + key, **self._settings.key),
        )
        encryption = head.get("ServerSideEncryption") or head.get("SSECustomerAlgorithm")
        return Facts(
            encryption=" ".join(word for word in (encryption, head.get("SSEKMSKeyId")) if word) or None,
            versioning=asked(
                lambda: (
                    self._call(
                        "GET versioning", "", lambda: self._client.get_bucket_versioning(**bucket)
                    ).get("Status")
                    == "Enabled"
                )
            ),
            object_lock=asked(lambda: self._has_lock(bucket)),
            location=asked(lambda: self._location(bucket)),
        )

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def pages(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """See `survey.Described`."""
        after: dict[str, Any] = {"StartAfter": self._prefix + start_after} if start_after else {}
        token: dict[str, Any] = {}
        while True:
            page = self._call(
                "LIST",
                prefix,
                lambda more=token: self._client.list_objects_v2(  # type: ignore[misc]
                    Bucket=self._bucket, Prefix=self._prefix + prefix, **after, **more
                ),
            )
            for item in page.get("Contents", []):
                key = item["Key"][len(self._prefix) :]
                storage_class = item.get("StorageClass")
                yield ObjectInfo(key, item["Size"], None, item["LastModified"], storage_class=storage_class)
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _put_one(self, key: str, body: bytes, sha256: str, condition: dict[str, Any]) -> None:
        self._send(key, body, sha256, self._settings.checksum(body, sha256), condition)

    def _send(
        self, key: str, body: bytes, sha256: str, checksum: dict[str, Any], condition: dict[str, Any]
    ) -> None:
        self._call(
            "PUT",
            key,
            lambda: self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=Body(body),
                Metadata={"sha256": sha256},
                **checksum,
                **condition,
                **self._settings.create(key),
            ),
        )

    def _put_parts(self, key: str, body: bytes, sha256: str, condition: dict[str, Any]) -> None:
        refuse_mismatch(body, sha256, f"{self._where}: PUT {key}")
        name: dict[str, Any] = {"Bucket": self._bucket, "Key": self._prefix + key}
        started = self._call(
            "PUT",
            key,
            lambda: self._client.create_multipart_upload(
                **name,
                Metadata={"sha256": sha256},
                **self._settings.whole(),
                **self._settings.create(key),
            ),
        )
        name["UploadId"] = started["UploadId"]
        try:
            parts = [
                self._put_part(key, name, number, body[start : start + self._part_bytes])
                for number, start in enumerate(range(0, len(body), self._part_bytes), start=1)
            ]
            self._call(
                "PUT",
                key,
                lambda: self._client.complete_multipart_upload(
                    **name, MultipartUpload={"Parts": parts}, **condition, **self._settings.key
                ),
            )
        except StorageError:
            # What can't be aborted now is left to the bucket's lifecycle; the first error is the one to tell.
            with suppress(*_FAILURES):
                self._client.abort_multipart_upload(**name)
            raise

    def _put_part(self, key: str, name: dict[str, Any], number: int, part: bytes) -> Any:
        checksum = self._settings.checksum(part, hashlib.sha256(part).hexdigest())
        answer = self._call(
            "PUT",
            key,
            lambda: self._client.upload_part(
                **name, PartNumber=number, Body=Body(part), **checksum, **self._settings.key
            ),
        )
        checksum.pop("ContentMD5", None)
        return {"PartNumber": number, "ETag": answer["ETag"], **checksum}

    def _create_probe(self, key: str, body: bytes) -> None:
        self._put_one(key, body, hashlib.sha256(body).hexdigest(), {"IfNoneMatch": "*"})

    def _send_wrong(self, key: str, body: bytes) -> None:
        another = b"another"
        wrong = self._settings.checksum(another, hashlib.sha256(another).hexdigest())
        self._send(key, body, hashlib.sha256(body).hexdigest(), wrong, {})

    def _location(self, bucket: Any) -> str:
        found: Any = self._call("GET location", "", lambda: self._client.get_bucket_location(**bucket))
        # S3 has no word for its first region (API reference, GetBucketLocation).
        return found.get("LocationConstraint") or "us-east-1"

    def _has_lock(self, bucket: Any) -> bool:
        try:
            found: Any = self._call(
                "GET object lock", "", lambda: self._client.get_object_lock_configuration(**bucket)
            )
        except StorageError as error:
            if error.code in ("ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound"):
                return False
            raise
        return bool(found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")

    def _check_bucket(self) -> None:
        # HEAD answers have no body, so a missing object and a missing bucket look alike.
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                missing = {"Error": {"Code": "NoSuchBucket", "Message": "The bucket doesn't exist."}}
                raise s3_errors.classify(
                    botocore.exceptions.ClientError(missing, "HeadBucket"),  # type: ignore[arg-type]
                    self._where,
                ) from None
        except _FAILURES as error:
            raise s3_errors.classify(error, self._where) from error


def _info(key: str, answer: Any) -> ObjectInfo:
    computed = answer.get("ChecksumSHA256")
    checksums = {}
    # Of an object in parts (its ETag has a dash) S3 knows only a checksum of checksums, and not all say so.
    if computed and "-" not in computed and "-" not in answer["ETag"]:
        checksums["sha256"] = base64.b64decode(computed).hex()
    sha256 = checksums.get("sha256") or answer["Metadata"].get("sha256")
    return ObjectInfo(
        key,
        answer["ContentLength"],
        sha256,
        answer["LastModified"],
        # S3 leaves the header out for its default class (API reference, HeadObject).
        answer.get("StorageClass", "STANDARD"),
        checksums,
    )
