"""The broker and the schema registry."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from replicator.config.section import Section


class Kafka(Section):
    """Where the broker is, and librdkafka's own settings (security.protocol, sasl.*, ssl.*)."""

    bootstrap_servers: str
    options: dict[str, SecretStr] = Field({})

    def client(self, **more: str | int | float | bool) -> dict[str, Any]:
        """The configuration of one librdkafka client."""
        options = {key: value.get_secret_value() for key, value in self.options.items()}
        return {"bootstrap.servers": self.bootstrap_servers, **options, **more}


class Registry(Section):
    """The schema registry, by its Confluent-compatible address."""

    url: str
    user: str | None = None
    password: SecretStr | None = None
    timeout_s: float = 10.0
    unknown_patience_s: float = Field(
        90.0, ge=0, description="a registry that was restarted may not know its schemas for so long"
    )

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password as `requests` takes them; None without a user."""
        if self.user is None:
            return None
        return self.user, self.password.get_secret_value() if self.password else ""
