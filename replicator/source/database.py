"""Connections to the captured database, and errors of it that say what to do."""

from __future__ import annotations

from importlib import resources
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict

from replicator.errors import ConfigError, SourceError

Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST_SERVER = 150000
"""PostgreSQL 15: the first with publications for whole schemas."""


def connect(dsn: str, *, autocommit: bool = True) -> Connection:
    """A connection with our application name; `SourceError` when there is none or the server is old."""
    where = describe(dsn)
    try:
        connection: Connection = psycopg.connect(
            dsn, autocommit=autocommit, connect_timeout=10, application_name="replicator"
        )
    except psycopg.OperationalError as error:
        raise SourceError(
            f"The source database {where} can't be reached: {str(error).strip()}",
            next_step="check source.dsn, that the server runs, and that pg_hba.conf lets this host in",
        ) from None
    if connection.info.server_version < OLDEST_SERVER:
        version = connection.info.server_version // 10000
        connection.close()
        raise SourceError(
            f"The source {where} is PostgreSQL {version}; 15 or newer is needed (publications of schemas).",
            next_step="upgrade the server, or capture another one",
        )
    return connection


def describe(dsn: str) -> str:
    """The database as people name it, without its password: `user@host:port/dbname`."""
    part = parameters(dsn)
    return (
        f"{part.get('user', '')}@{part.get('host', 'local socket')}:{part.get('port', '5432')}"
        f"/{part.get('dbname', part.get('user', ''))}"
    )


def parameters(dsn: str) -> dict[str, str]:
    """The DSN's parameters, from either of libpq's two forms; `ConfigError` when it is neither."""
    try:
        return {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError:
        raise ConfigError("source.dsn is neither a postgresql:// address nor key=value pairs.") from None


def script(name: str) -> LiteralString:
    """One of the SQL files beside this module, by name without its ending."""
    file = resources.files("replicator.source").joinpath("sql", f"{name}.sql")
    return file.read_text(encoding="utf-8")
