"""Connections whose text output doesn't depend on the server they talk to."""

from __future__ import annotations

import psycopg

from replicator.errors import SourceError

PINNED = {
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
    "quote_all_identifiers": "off",
    # With row security on, a policy would hide rows silently; off, PostgreSQL refuses the query instead.
    "row_security": "off",
    "statement_timeout": "0",
    # Two readers of one snapshot and somebody who wants to truncate could otherwise wait for each other
    # forever.
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
}
"""What the text of a value, a definition or a name depends on, and what would cut a long read short."""


def connect(dsn: str, what: str) -> psycopg.Connection:
    """A connection in autocommit with PINNED set; `SourceError` names `what` when it can't be made."""
    try:
        connection = psycopg.connect(dsn, autocommit=True, application_name="replicator compare")
    except psycopg.OperationalError as error:
        raise SourceError(
            f"The {what} can't be reached: {str(error).strip()}",
            next_step="check the address, the role and that the server is up",
        ) from None
    for name, value in PINNED.items():
        connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    return connection


def begin(connection: psycopg.Connection, snapshot: str | None) -> None:
    """Begin one read-only view of the whole database, the exported one where a snapshot is named."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    if snapshot is not None:
        connection.execute("SET TRANSACTION SNAPSHOT " + _literal(snapshot))


def _literal(snapshot: str) -> str:
    # SET TRANSACTION SNAPSHOT takes no parameters; a snapshot's name is hexadecimal digits and dashes.
    if not snapshot or snapshot.strip("0123456789ABCDEFabcdef-"):
        raise SourceError(f"{snapshot!r} is not the name of a snapshot that PostgreSQL exported.")
    return f"'{snapshot}'"
