"""A bucket of AWS S3, or of what speaks its protocol."""

from __future__ import annotations

import base64
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator

from replicator.config.place import CloudDestination, Place

_PROVIDERS = {
    "wasabi": "https://s3.{region}.wasabisys.com",
    "backblaze": "https://s3.{region}.backblazeb2.com",
}
_SERVICES = {
    ".amazonaws.com": "aws",
    ".amazonaws.com.cn": "aws-cn",
    ".backblazeb2.com": "backblaze",
    ".wasabisys.com": "wasabi",
    "storage.googleapis.com": "gcs",
}
"""Services whose bucket names are unique all over: there the address of a region isn't part of the place."""


class S3Destination(CloudDestination):
    """A bucket of AWS S3 or anything that speaks its protocol. Without keys, boto3's own chain finds them."""

    type: Literal["s3"]
    bucket: str
    provider: Literal["aws", "wasabi", "backblaze", "other"] | None = None
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    profile: str | None = None
    encryption: Literal["sse-s3", "sse-kms", "customer-key"] | None = None
    kms_key_id: str | None = None
    customer_key: SecretStr | None = None
    checksum: Literal["sha256", "md5"] | None = None
    path_style: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.provider in _PROVIDERS and not (self.region or self.endpoint_url):
            raise ValueError(f"{self.provider} needs `region` (or `endpoint_url`)")
        if self.kms_key_id is not None and self.encryption != "sse-kms":
            raise ValueError("kms_key_id belongs to `encryption: sse-kms`")
        if (self.customer_key is not None) != (self.encryption == "customer-key"):
            raise ValueError("`encryption: customer-key` and customer_key go together")
        check_customer_key(self.customer_key)
        return self

    @property
    def address(self) -> str | None:
        """The endpoint's URL; None is AWS, where boto3 knows it by the region."""
        if self.endpoint_url is None and self.provider in _PROVIDERS:
            return _PROVIDERS[self.provider].format(region=self.region)
        return self.endpoint_url

    @property
    def checksum_kind(self) -> Literal["sha256", "md5"]:
        """What is sent beside a body for the server to compare.

        Backblaze answers 400 to the headers that S3 has for SHA-256 ("Unsupported features" of its S3 API's
        page); MD5 is older.
        """
        return self.checksum or ("md5" if self.place.service == "backblaze" else "sha256")

    @property
    def identity(self) -> tuple[str, ...]:
        """See `PlacedDestination`."""
        return (self.bucket, self.address or "", self.prefix)

    @property
    def words(self) -> str:
        """See `PlacedDestination`."""
        return f"s3://{self.bucket}" + (f" at {self.address}" if self.address else "")

    @property
    def place(self) -> Place:
        """See `PlacedDestination`."""
        if self.address is None:
            return Place("aws", "", self.bucket, self.prefix)
        parts = urlsplit(self.address.lower())
        host = parts.hostname or ""
        for suffix, service in _SERVICES.items():
            if host == suffix.lstrip(".") or host.endswith(suffix):
                return Place(service, "", self.bucket, self.prefix)
        account = f"{parts.netloc}{parts.path.rstrip('/')}"
        return Place("s3", account, self.bucket, self.prefix)


def check_customer_key(key: SecretStr | None) -> None:
    """ValueError unless the key is none at all, or 256 bits in base64."""
    if key is None:
        return
    try:
        length = len(base64.b64decode(key.get_secret_value(), validate=True))
    except ValueError:
        length = 0
    if length != 32:
        raise ValueError("customer_key must be 32 bytes in base64: openssl rand -base64 32")
