"""The boto3 client of one destination: every setting with its reason."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as BotoConfig

from replicator.config import S3Destination
from replicator.storage.http_body import Body, answer_timeout_s

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def connect(destination: S3Destination) -> S3Client:
    """A client that sends each request once. Nothing is sent yet; an unknown profile raises at once."""

    def secret(value: Any) -> str | None:
        return value.get_secret_value() if value is not None else None

    session = boto3.session.Session(profile_name=destination.profile)
    client = session.client(
        "s3",
        endpoint_url=destination.address,
        region_name=destination.region or session.region_name or "us-east-1",
        aws_access_key_id=secret(destination.access_key_id),
        aws_secret_access_key=secret(destination.secret_access_key),
        aws_session_token=secret(destination.session_token),
        config=BotoConfig(
            signature_version="s3v4",
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=destination.connect_timeout_s,
            read_timeout=destination.read_timeout_s,
            max_pool_connections=64,
            proxies={"http": destination.proxy, "https": destination.proxy} if destination.proxy else None,
            s3={"addressing_style": "path" if destination.path_style else "virtual"},
            # The SDK's own default, a CRC32 trailer, breaks stores that don't know it; ours is a header.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    for operation in ("PutObject", "UploadPart"):
        client.meta.events.register(
            f"before-call.s3.{operation}", partial(_allow, destination.read_timeout_s)
        )
    return client


def _allow(read_timeout_s: float, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    body = params.get("body")
    if isinstance(body, Body):
        context["read_timeout"] = answer_timeout_s(read_timeout_s, body.getbuffer().nbytes)
