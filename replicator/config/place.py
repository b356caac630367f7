"""What every destination has: a place, by which two of them are told apart."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from replicator.config.policy import Policy


class Place(NamedTuple):
    """Where objects end up: equal for two destinations that would write over each other's objects.

    `service` is whose bucket it is, whatever protocol it is reached by.
    """

    service: str
    account: str
    container: str
    prefix: str


class PlacedDestination(Policy):
    """A prefix inside of something; the kinds say what."""

    prefix: str = ""

    @field_validator("prefix")
    @classmethod
    def _plain_prefix(cls, value: str) -> str:
        return value.strip("/")

    @property
    def identity(self) -> tuple[str, ...]:
        """What the fingerprint of a sink's configuration is made of; a kind never changes its own."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The place for people, without prefix and without secrets."""
        raise NotImplementedError

    @property
    def place(self) -> Place:
        """The place for comparisons."""
        raise NotImplementedError


class CloudDestination(PlacedDestination):
    """What all object stores have."""

    connect_timeout_s: float = Field(5.0, gt=0)
    read_timeout_s: float = Field(
        30.0, gt=0, description="no byte moved for so long: a large body on a slow line may take longer"
    )
    concurrency: int | None = Field(None, ge=1, description="requests at a time; no limit by default")
    proxy: str | None = Field(None, description="http://host:port; by default what HTTPS_PROXY says")
    storage_class: str | None = Field(None, description="the provider's own word, as STANDARD_IA or Cool")
    retention_days: int | None = Field(
        None, ge=1, description="segments can't be deleted or replaced for so long"
    )
    retention_mode: Literal["governance", "compliance"] = Field(
        "governance", description="compliance: nobody can shorten it, not even the account's owner"
    )
