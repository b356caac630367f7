"""S3 by versitygw, which checks nearly everything, and by moto, which has what versitygw lacks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config as BotoConfig
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from replicator.config import Destination, S3Destination
from replicator.storage import ErrorKind, ObjectStore
from replicator.storage.s3 import S3Store
from tests.contract.clouds.port import LOW_BOUND, LOW_PART, Answer, Known
from tests.faults.proxy import Request, Respond

ANSWERS = (
    Answer(503, "SlowDown", ErrorKind.THROTTLED),
    Answer(429, "TooManyRequests", ErrorKind.THROTTLED),
    Answer(503, "ServiceUnavailable", ErrorKind.TRANSIENT),
    Answer(500, "InternalError", ErrorKind.TRANSIENT),
    Answer(502, "", ErrorKind.TRANSIENT),
    Answer(507, "", ErrorKind.TRANSIENT),
    Answer(400, "RequestTimeout", ErrorKind.TRANSIENT),
    Answer(409, "ConditionalRequestConflict", ErrorKind.TRANSIENT),
    Answer(400, "BadDigest", ErrorKind.CORRUPT),
    Answer(403, "AccessDenied", ErrorKind.AUTH),
    Answer(403, "RequestTimeTooSkewed", ErrorKind.AUTH),
    Answer(400, "ExpiredToken", ErrorKind.AUTH),
    Answer(404, "NoSuchBucket", ErrorKind.FATAL),
    Answer(400, "InvalidStorageClass", ErrorKind.FATAL),
    Answer(400, "KMS.DisabledException", ErrorKind.FATAL),
    Answer(418, "NeverSeenBefore", ErrorKind.FATAL),
)


@dataclass(frozen=True, slots=True)
class S3Cloud:
    """Where an S3 server answers, and with whose keys."""

    url: str
    access_key: str
    secret_key: str
    name: str = "versitygw"
    known: Known = field(
        default_factory=lambda: Known(versioning=False, object_lock=False, storage_class="STANDARD")
    )
    answers: tuple[Answer, ...] = ANSWERS
    throttled: tuple[int, str] = (503, "SlowDown")
    skewed: tuple[int, str] = (403, "RequestTimeTooSkewed")
    wrong_credentials: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "access_key_id": {"access_key_id": "wrong-wrong-wrong"},
            "secret_access_key": {"secret_access_key": "wrong-wrong-wrong"},
        }
    )

    def admin(self) -> Any:
        """A plain client, for what tests do behind the adapter's back."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=BotoConfig(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @contextmanager
    def container(self) -> Iterator[str]:
        admin = self.admin()
        name = f"contract-{uuid4().hex[:12]}"
        admin.create_bucket(Bucket=name)
        try:
            yield name
        finally:
            for page in admin.get_paginator("list_objects_v2").paginate(Bucket=name):
                keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
                if keys:
                    admin.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
            admin.delete_bucket(Bucket=name)

    def destination(self, container: str, *, url: str | None = None, **changes: Any) -> S3Destination:
        fields: dict[str, Any] = {
            "type": "s3",
            "bucket": container,
            "endpoint_url": url or self.url,
            "region": "us-east-1",
            "access_key_id": SecretStr(self.access_key),
            "secret_access_key": SecretStr(self.secret_key),
            "connect_timeout_s": 2.0,
            "read_timeout_s": 5.0,
            **changes,
        }
        return S3Destination(**fields)

    @contextmanager
    def reader(self, container: str) -> Iterator[dict[str, Any]]:
        """The keys of a user of versitygw whom the bucket's policy lets read and list, and nothing else."""
        name, secret = f"reader-{uuid4().hex[:8]}", uuid4().hex
        account = (
            f"<Account><Access>{name}</Access><Secret>{secret}</Secret><Role>user</Role>"
            "<UserID>0</UserID><GroupID>0</GroupID></Account>"
        )
        self._administer("create-user", account.encode())
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": [name]},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{container}", f"arn:aws:s3:::{container}/*"],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.admin().put_bucket_policy(Bucket=container, Policy=json.dumps(policy))
        try:
            yield {"access_key_id": SecretStr(name), "secret_access_key": SecretStr(secret)}
        finally:
            self._administer(f"delete-user?access={name}", b"")

    def _administer(self, what: str, body: bytes) -> None:
        """Versitygw's accounts are administered over HTTP, each request signed by the root account."""
        digest = {"X-Amz-Content-Sha256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest("PATCH", f"{self.url}/{what}", data=body, headers=digest)
        SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", "us-east-1").add_auth(request)
        answer = requests.patch(str(request.url), data=body, headers=dict(request.headers), timeout=10)
        assert answer.ok, f"{what.partition('?')[0]}: {answer.status_code} {answer.text[:200]}"

    def open(self, destination: Destination) -> ObjectStore:
        assert isinstance(destination, S3Destination)
        return S3Store(destination, multipart_bytes=LOW_BOUND, part_bytes=LOW_PART)

    def is_write(self, request: Request) -> bool:
        return request.method == "PUT"

    def is_list(self, request: Request) -> bool:
        return request.method == "GET" and "list-type=2" in request.target

    def is_read(self, request: Request) -> bool:
        return request.method == "GET" and not self.is_list(request)

    def respond(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> Respond:
        document = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
        return Respond(status, document.encode() if code else b"", dict(headers or {}))


@contextmanager
def moto_server() -> Iterator[S3Cloud]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # moto ignores checksums and signatures: the adapter has to find out about the first and compare itself.
    known = Known(
        refuses_wrong_checksum=False,
        refuses_wrong_credentials=False,
        refuses_a_clock_that_is_off=False,
        versioning=False,
        object_lock=False,
        storage_class="STANDARD",
    )
    try:
        yield S3Cloud(f"http://{host}:{port}", "any", "any", "moto", known)
    finally:
        server.stop()
