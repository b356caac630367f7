"""The captured database and its connector."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from replicator.config.section import Section


class Converter(Section):
    """The Avro converter in the Connect workers, and how it is kept from turning NULL into a DEFAULT.

    `apicurio` is the shipped stack's null-keeping subclass of Apicurio's converter; `confluent` is
    Confluent's with `ignore.default.for.nullables=true`. `class_name` and `settings` replace or add to what
    the kind brings; settings are written without the `key.converter.` or `value.converter.` before them.
    """

    kind: Literal["apicurio", "confluent"] = "apicurio"
    class_name: str | None = None
    settings: dict[str, str] = Field({})


class Source(Section):
    """The captured database, and the Connect cluster that captures it."""

    dsn: SecretStr
    connect_url: str = "http://127.0.0.1:8083"
    connect_user: str | None = None
    connect_password: SecretStr | None = None
    connector: str | None = Field(
        None, description="name of the connector; the installation's name by default"
    )
    schemas: list[str] = Field(["public"])
    exclude_tables: list[str] = Field([])
    connector_dsn: SecretStr | None = Field(
        None, description="how the Connect workers reach the database, where that differs from dsn"
    )
    converter: Converter = Converter()
    exact_values: bool = Field(
        False,
        description="have our converter inside Debezium (replicator-exact-values.jar, in the shipped image "
        "of Connect) carry the values that Debezium's own conversions change, and notify of snapshots",
    )
    key_columns: list[str] = Field(
        ["wedding_id"], description="columns that lead the message key, in the tables that have them"
    )
    partitions: int = Field(3, ge=1, description="partitions of a new table's topic")
    topic_replication: int = Field(-1, ge=-1, description="copies of a topic; -1 is the broker's default")
    retention_hours: float = Field(168.0, gt=0, description="how long Kafka keeps what a destination lacks")
    max_record_bytes: int = Field(32 * 2**20, ge=2**20, description="the largest record that passes")
    heartbeat_s: float = Field(
        60.0, gt=0, description="an idle database moves forward as often; each beat costs two small PUTs"
    )
    mark_roles: list[str] = Field(
        [], description="roles of the database that may call replicator.mark() to name a moment"
    )
    reread_mb: int = Field(
        1024,
        ge=0,
        description="up to this size a table whose rows a command changed without events (ALTER TYPE, a "
        "volatile default) is sent again in that command's transaction; 0: never",
    )
    pg_dump: Path | None = Field(
        None, description="pg_dump of the server's version or newer; PATH by default"
    )
    overrides: dict[str, str] = Field({}, description="Debezium settings that replace or add to ours")
