"""The connector's configuration, rendered from connectors/postgresql.yaml. No I/O but reading that file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

import yaml

from replicator.config import Config
from replicator.debezium.exact import CONVERTER_CLASS
from replicator.errors import ConfigError
from replicator.source.captured import Captured, Table, TableName
from replicator.source.database import parameters

LONGEST_NAME = 63
"""Bytes that PostgreSQL keeps of a slot's or publication's name (NAMEDATALEN - 1)."""

UNCAPTURED = ("installation", "sequence_seen", "identity_before")
"""Our tables that only serve the source itself."""

_OF_THE_SNAPSHOT = ("snapshot.include.collection.list", "snapshot.select.statement.overrides")
_PLAIN = re.compile(r"[A-Za-z0-9_]")
EXACT_VALUES = {
    "converters": "exact",
    "exact.type": CONVERTER_CLASS,
    # Debezium's default writes NULL where a converter fails, and a line into the worker's log.
    "event.converting.failure.handling.mode": "fail",
    # Debezium's own channel commits an offset with the notification that a snapshot begins: a task that ends
    # before the first row of it skips the snapshot when it begins again.
    "notification.enabled.channels": "replicator",
}
"""What `source.exact_values` adds to the connector's configuration."""

_STAMPED = (
    "SELECT id, txid, at, kind, statement, tag, object_type, schema_name, object_identity, object_oid, "
    "query, search_path, role, CASE WHEN kind = 'dump' THEN definition || jsonb_build_object("
    "'snapshot', pg_catalog.pg_current_snapshot()::text, 'lsn', pg_catalog.pg_current_wal_lsn()::text, "
    "'slot', (SELECT confirmed_flush_lsn::text FROM pg_catalog.pg_replication_slots "
    "WHERE slot_name = '$slot')) ELSE definition END AS definition, dump FROM replicator.ddl_log"
)
"""The snapshot says in a row of the DDL log which transactions it shows, at which LSN it had locked all
tables, and where its slot begins.
"""

_NULL_KEEPING = "replicator.connect.NullKeepingAvroConverter"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the shipped configuration; `value` may hold $names."""

    setting: str
    value: str
    why: str


@cache
def settings() -> tuple[Setting, ...]:
    """The shipped settings in their order."""
    text = resources.files("connectors").joinpath("postgresql.yaml").read_text(encoding="utf-8")
    return tuple(Setting(**entry) for entry in yaml.safe_load(text))


def keep_snapshot(running: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """`wanted`, with what the running connector was given for its snapshot: that is over and no change."""
    rest = {key: value for key, value in wanted.items() if not key.startswith(_OF_THE_SNAPSHOT)}
    return rest | {key: value for key, value in running.items() if key.startswith(_OF_THE_SNAPSHOT)}


def connector_name(config: Config) -> str:
    """The connector's name in Connect."""
    return config.source.connector or config.installation


def slot_name(config: Config) -> str:
    """The name of the slot and of the publication; `ConfigError` when PostgreSQL would cut it short."""
    name = "replicator_" + config.installation.replace("-", "_")
    if len(name) > LONGEST_NAME:
        raise ConfigError(
            f"The installation's name {config.installation!r} is too long: PostgreSQL keeps "
            f"{LONGEST_NAME} bytes of the slot's name {name!r}.",
            next_step=f"choose a name of at most {LONGEST_NAME - len('replicator_')} characters",
        )
    return name


def render(config: Config, captured: Captured) -> dict[str, str]:
    """The connector's whole configuration, without its name.

    It holds the database's password in plain unless `source.overrides` has a reference in its place.
    """
    values = _values(config, captured)
    rendered = {entry.setting: Template(entry.value).substitute(values) for entry in settings()}
    rendered["snapshot.select.statement.overrides.replicator.ddl_log"] = Template(_STAMPED).substitute(values)
    for table in captured.inherited:
        rendered[f"snapshot.select.statement.overrides.{table.name}"] = (
            f"SELECT * FROM ONLY {_quoted(table.name.schema)}.{_quoted(table.name.table)}"
        )
    rendered |= _converter(config)
    if config.source.exact_values:
        rendered |= EXACT_VALUES
    rendered |= config.source.overrides
    return {key: value for key, value in rendered.items() if value != ""}


def unkeyable(config: Config, captured: Captured) -> list[Table]:
    """Tables with a leading key column whose names Debezium's message.key.columns can't express."""
    return [t for t in captured.streams if _leading(config, t) and not _expressible(t, _key(config, t))]


def pattern(name: TableName) -> str:
    """A Java regular expression that matches this table alone and is safe inside Debezium's lists."""
    return rf"{escape(name.schema)}\.{escape(name.table)}"


def escape(identifier: str) -> str:
    """An identifier with every special character as `\\x{hex}`: none of Debezium's separators is left."""
    return "".join(char if _PLAIN.match(char) else f"\\x{{{ord(char):x}}}" for char in identifier)


def _values(config: Config, captured: Captured) -> dict[str, str]:
    source = config.source
    where = parameters((source.connector_dsn or source.dsn).get_secret_value())
    slot = slot_name(config)
    return {
        "installation": config.installation,
        "host": where.get("host", "localhost"),
        "port": where.get("port", "5432"),
        "user": where.get("user", ""),
        "password": where.get("password", ""),
        "dbname": where.get("dbname", where.get("user", "")),
        "sslmode": where.get("sslmode", ""),
        "sslrootcert": where.get("sslrootcert", ""),
        "slot": slot,
        "publication": slot,
        "schemas": ",".join(escape(schema) for schema in [*source.schemas, "replicator"]),
        "excluded": ",".join(_excluded(config)),
        "snapshot_tables": _all_but(captured.partitions),
        "selected": ",".join(["replicator.ddl_log", *(str(table.name) for table in captured.inherited)]),
        "key_columns": ";".join(_key_columns(config, captured)),
        "heartbeat_ms": str(round(source.heartbeat_s * 1000)),
        "partitions": str(source.partitions),
        "replication_factor": str(source.topic_replication),
        "retention_ms": str(round(source.retention_hours * 3_600_000)),
        "max_record_bytes": str(source.max_record_bytes),
        "producer_buffer_bytes": str(max(2 * source.max_record_bytes, 64 * 2**20)),
        "single_partition_topics": ",".join(
            [
                rf"{config.installation}\.(transaction|notification)",
                rf"{config.installation}\.replicator\..*",
                r"__debezium-heartbeat\..*",
            ]
        ),
    }


def _excluded(config: Config) -> Iterable[str]:
    yield from (pattern(TableName("replicator", table)) for table in UNCAPTURED)
    yield from config.source.exclude_tables


def _all_but(tables: Sequence[Table]) -> str:
    """A Java regular expression for every table but these; empty, which is no restriction, for none.

    Seen with 3.7.0.Final: a table is read when the pattern matches its plain name or its quoted one.
    """
    if not tables:
        return ""
    names = "|".join(
        rf'"?{_once_or_doubled(t.name.schema)}"?\."?{_once_or_doubled(t.name.table)}"?' for t in tables
    )
    return rf"(?!(?:[^.]*\.)?(?:{names})$).*"


def _once_or_doubled(identifier: str) -> str:
    return escape(identifier).replace(r"\x{22}", r"\x{22}+")


def _key_columns(config: Config, captured: Captured) -> Iterable[str]:
    for table in captured.streams:
        key = _key(config, table)
        if _leading(config, table) and key != table.primary_key and _expressible(table, key):
            yield f"{pattern(table.name)}:{','.join(key)}"


def _leading(config: Config, table: Table) -> tuple[str, ...]:
    return tuple(column for column in config.source.key_columns if column in table.columns)


def _key(config: Config, table: Table) -> tuple[str, ...]:
    leading = _leading(config, table)
    return leading + tuple(column for column in table.primary_key if column not in leading)


def _expressible(table: Table, key: tuple[str, ...]) -> bool:
    return not any(re.search(r"[\s,:;]", column) for column in key) and bool(table.name.table)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _converter(config: Config) -> dict[str, str]:
    chosen = config.source.converter
    kinds: Mapping[str, tuple[str, dict[str, str]]] = {
        "apicurio": (
            _NULL_KEEPING,
            {
                "apicurio.registry.url": _native_url(config.registry.url),
                "apicurio.registry.auto-register": "true",
                "apicurio.registry.find-latest": "false",
                "apicurio.registry.as-confluent": "true",
                "apicurio.registry.headers.enabled": "false",
                "apicurio.registry.use-id": "contentId",
                "schemas.enable": "true",
            },
        ),
        "confluent": (
            "io.confluent.connect.avro.AvroConverter",
            {
                "schema.registry.url": config.registry.url,
                "auto.register.schemas": "true",
                "ignore.default.for.nullables": "true",
                "enhanced.avro.schema.support": "true",
            },
        ),
    }
    name, defaults = kinds[chosen.kind]
    both = defaults | chosen.settings
    rendered: dict[str, str] = {}
    for side in ("key", "value"):
        rendered[f"{side}.converter"] = chosen.class_name or name
        rendered |= {f"{side}.converter.{key}": value for key, value in both.items()}
    return rendered


def _native_url(url: str) -> str:
    """Apicurio's own API beside its Confluent-compatible one, at the same server."""
    return re.sub(r"/apis/ccompat/v\d+/?$", "/apis/registry/v2", url)
