"""A bucket of Backblaze B2, by its native API."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from replicator.config.place import CloudDestination, Place
from replicator.config.s3 import check_customer_key


class B2Destination(CloudDestination):
    """A bucket. Without keys, B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY are read, as Backblaze's own
    tools do.
    """

    type: Literal["b2"]
    bucket: str
    application_key_id: SecretStr | None = None
    application_key: SecretStr | None = None
    realm: str = Field("production", description="or the URL of another one")
    encryption: Literal["sse-b2", "customer-key"] | None = None
    customer_key: SecretStr | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.storage_class is not None:
            raise ValueError("storage_class: B2 has one class")
        if (self.application_key_id is None) != (self.application_key is None):
            raise ValueError("application_key_id and application_key go together")
        if (self.customer_key is not None) != (self.encryption == "customer-key"):
            raise ValueError("`encryption: customer-key` and customer_key go together")
        check_customer_key(self.customer_key)
        return self

    @property
    def identity(self) -> tuple[str, ...]:
        """See `PlacedDestination`."""
        return (self.bucket, self.realm, self.prefix)

    @property
    def words(self) -> str:
        """See `PlacedDestination`."""
        return f"b2://{self.bucket}" + ("" if self.realm == "production" else f" at {self.realm}")

    @property
    def place(self) -> Place:
        """See `PlacedDestination`. Bucket names are unique, also with those of the S3 side."""
        return Place("backblaze", "" if self.realm == "production" else self.realm, self.bucket, self.prefix)
