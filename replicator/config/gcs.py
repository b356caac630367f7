"""A bucket of Google Cloud Storage."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from replicator.config.place import CloudDestination, Place
from replicator.config.s3 import check_customer_key


class GcsDestination(CloudDestination):
    """A bucket. Without `credentials_file` and `credentials_json`, Google's own chain finds credentials
    (GOOGLE_APPLICATION_CREDENTIALS, gcloud, the metadata server).
    """

    type: Literal["gcs"]
    bucket: str
    project: str | None = None
    endpoint_url: str | None = None
    credentials_file: Path | None = None
    credentials_json: SecretStr | None = None
    anonymous: bool = Field(False, description="send no credentials: for stand-ins")
    kms_key_name: str | None = None
    customer_key: SecretStr | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = (self.credentials_file is not None, self.credentials_json is not None, self.anonymous)
        if sum(given) > 1:
            raise ValueError("give one of credentials_file, credentials_json and anonymous")
        if self.kms_key_name is not None and self.customer_key is not None:
            raise ValueError("give kms_key_name or customer_key, not both")
        check_customer_key(self.customer_key)
        return self

    @property
    def identity(self) -> tuple[str, ...]:
        """See `PlacedDestination`."""
        return (self.bucket, self.endpoint_url or "", self.prefix)

    @property
    def words(self) -> str:
        """See `PlacedDestination`."""
        return f"gs://{self.bucket}" + (f" at {self.endpoint_url}" if self.endpoint_url else "")

    @property
    def place(self) -> Place:
        """See `PlacedDestination`."""
        account = (self.endpoint_url or "").lower().partition("://")[2].rstrip("/")
        return Place("gcs", "" if account == "storage.googleapis.com" else account, self.bucket, self.prefix)
