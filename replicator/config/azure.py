"""A container of an Azure Blob Storage account."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from replicator.config.place import CloudDestination, Place
from replicator.config.s3 import check_customer_key


class AzureDestination(CloudDestination):
    """A container. Without key and SAS, azure-identity's chain finds credentials (environment, workload
    identity, managed identity, Azure CLI …).
    """

    type: Literal["azure"]
    account_url: str
    container: str
    account: str | None = Field(None, description="by default what the URL says; account_key needs it")
    account_key: SecretStr | None = None
    sas_token: SecretStr | None = None
    encryption_scope: str | None = None
    customer_key: SecretStr | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.account_key is not None and self.sas_token is not None:
            raise ValueError("give account_key or sas_token, not both")
        if self.encryption_scope is not None and self.customer_key is not None:
            raise ValueError("give encryption_scope or customer_key, not both")
        if self.storage_class not in (None, "Hot", "Cool", "Cold"):
            raise ValueError("storage_class: Hot, Cool or Cold (an archived blob takes hours to be read)")
        check_customer_key(self.customer_key)
        return self

    @property
    def account_name(self) -> str:
        """The account: a stand-in has it in the path, Azure in the host's name."""
        parts = urlsplit(self.account_url)
        return self.account or parts.path.strip("/") or (parts.hostname or "").partition(".")[0]

    @property
    def identity(self) -> tuple[str, ...]:
        """See `PlacedDestination`."""
        return (self.account_url.rstrip("/"), self.container, self.prefix)

    @property
    def words(self) -> str:
        """See `PlacedDestination`."""
        return f"azure container {self.container} at {self.account_url.rstrip('/')}"

    @property
    def place(self) -> Place:
        """See `PlacedDestination`."""
        account = self.account_url.lower().partition("://")[2].rstrip("/")
        return Place("azure", account, self.container, self.prefix)
