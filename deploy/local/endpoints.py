"""Where a stack's parts answer, endpoints.json: the contract between the stack and its users."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deploy.local.cache import write_atomically
from deploy.local.errors import StackError

FILE_NAME = "endpoints.json"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A superuser's way in; `bin` holds psql, pg_dump and pg_restore of the server's own version."""

    host: str
    port: int
    user: str
    password: str
    dsn: str
    bin: str

    def dsn_of(self, database: str) -> str:
        """Return the DSN of another database of the same server."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker's address, as librdkafka and Java clients take it."""

    bootstrap_servers: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Kafka Connect's REST API."""

    url: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The schema registry: `url` speaks Confluent's API, `native_url` Apicurio's v2, the converter's."""

    url: str
    native_url: str


@dataclass(frozen=True, slots=True)
class S3:
    """An S3 API with its root credentials."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str


@dataclass(frozen=True, slots=True)
class Azure:
    """An Azure Blob account: its address, the account's name in it, and the account's key."""

    account_url: str
    account: str
    account_key: str


@dataclass(frozen=True, slots=True)
class Gcs:
    """A Google Cloud Storage API that asks for no credentials, and the project that its buckets belong to."""

    endpoint_url: str
    project: str


@dataclass(frozen=True, slots=True)
class Converter:
    """The Avro converter that keeps NULL: its class, and its settings without `key.converter.`.

    `exact_values`: whether Debezium finds the converter that `source.exact_values` asks for.
    """

    class_name: str
    settings: dict[str, str]
    exact_values: bool = False


@dataclass(frozen=True, slots=True)
class Endpoints:
    """All parts of one stack. `s3_moto` answers only once that part has been started."""

    postgres: Postgres
    kafka: Kafka
    connect: Connect
    registry: Registry
    s3: S3
    s3_moto: S3
    azure: Azure
    gcs: Gcs
    converter: Converter

    def save(self, directory: Path) -> Path:
        """Write endpoints.json, readable by its owner alone, and return its path."""
        content = asdict(self)
        content["converter"]["class"] = content["converter"].pop("class_name")
        path = directory / FILE_NAME
        write_atomically(path, json.dumps(content, indent=1) + "\n", mode=0o600)
        return path


def load(directory: Path) -> Endpoints:
    """Return the endpoints of the stack in `directory`; raises StackError where none was ever brought up."""
    path = directory / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StackError(
            f"there is no stack in {directory}", next_step="bring it up with `make stack`"
        ) from None
    if not {each.name for each in fields(Endpoints)} <= content.keys():
        raise StackError(
            f"{path} was written by an older version of this stack",
            next_step="run `make stack`: it starts what is new, and leaves the rest as it is",
        )
    converter = content["converter"]
    return Endpoints(
        postgres=Postgres(**content["postgres"]),
        kafka=Kafka(**content["kafka"]),
        connect=Connect(**content["connect"]),
        registry=Registry(**content["registry"]),
        s3=S3(**content["s3"]),
        s3_moto=S3(**content["s3_moto"]),
        azure=Azure(**content["azure"]),
        gcs=Gcs(**content["gcs"]),
        converter=Converter(
            converter["class"], converter["settings"], exact_values=converter.get("exact_values", False)
        ),
    )
