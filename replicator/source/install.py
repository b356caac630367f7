"""Our schema in the captured database: put there, looked at, removed. All of it can be run again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from replicator.config import Config
from replicator.errors import SourceError
from replicator.source import captured, dump, publication
from replicator.source.connector import slot_name
from replicator.source.database import Connection, connect, describe, parameters, script

VERSION = 3
"""Of the schema `replicator`, raised with each change of its SQL; a newer one in a database is left alone."""

_LOCK = 0x7265706C
"""Key of the advisory lock that keeps two installs apart."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installed:
    """What `installation` says."""

    name: str
    version: int
    schemas: tuple[str, ...]
    system_identifier: str
    timeline: int


def installed(connection: Connection) -> Installed | None:
    """The installation recorded in the database; None when there is none."""
    present = connection.execute("SELECT to_regclass('replicator.installation')").fetchone()
    if present is None or present[0] is None:
        return None
    row = connection.execute(
        "SELECT name, version, schemas, system_identifier, timeline FROM replicator.installation"
    ).fetchone()
    if row is None:
        return None
    return Installed(str(row[0]), int(str(row[1])), tuple(row[2]), str(row[3]), int(str(row[4])))


def identity(connection: Connection) -> tuple[str, int]:
    """System identifier and timeline of the server: a change of either breaks the chain of LSNs."""
    row = connection.execute(
        "SELECT s.system_identifier::text, c.timeline_id "
        "FROM pg_control_system() s, pg_control_checkpoint() c"
    ).fetchone()
    assert row is not None  # both functions give one row
    return str(row[0]), int(str(row[1]))


def install(config: Config, say: Say, *, pg_dump: Path | None = None, deadline_s: float = 60.0) -> None:
    """Install or bring up to date; `say` is told each step.

    The event triggers come first and older transactions are waited for: from then on no table appears
    unnoticed. Then every table gets REPLICA IDENTITY FULL, then the publication, then the dump. `SourceError`
    when another installation or a newer version is there, when rights are missing, when a table stays locked.
    """
    dsn = config.source.dsn.get_secret_value()
    with connect(dsn) as connection:
        _check_rights(connection, dsn)
        if not _truth(connection, "SELECT pg_try_advisory_lock(%s)", _LOCK):
            raise SourceError(
                "Another `replicator source install` is at work on this database.",
                next_step="let it finish, then run this again",
            )
        before = _compatible(connection, config)
        _put_schema(connection, config, before)
        say("schema replicator: " + ("brought up to date" if before else "installed"))
        _wait_for_older_transactions(connection, deadline_s)
        changed = _whole_old_rows(connection, config, deadline_s)
        say(
            f"REPLICA IDENTITY FULL: set on {changed} tables"
            if changed
            else "REPLICA IDENTITY FULL: all tables have it"
        )
        name = slot_name(config)
        made = publication.ensure(connection, name, config.source.schemas)
        say(f"publication {name}: " + ("set up" if made else "as it should be"))
        _grant(connection, config)
        connection.execute("SELECT replicator.record_sequences()")
        due = dump.is_due(connection)
    if due:
        row = dump.take(dsn, pg_dump or config.source.pg_dump)
        say(f"schema dump: logged as row {row} of replicator.ddl_log")
    else:
        say("schema dump: the logged one is up to date")


def uninstall(config: Config, say: Say) -> None:
    """Remove our schema, event triggers and publication, and put the replica identities back.

    `SourceError` while the slot is being read: the connector's heartbeat would fail.
    """
    with connect(config.source.dsn.get_secret_value()) as connection:
        name = slot_name(config)
        if _truth(
            connection,
            "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s AND active)",
            name,
        ):
            raise SourceError(
                f"The connector is reading the slot {name}; without our schema its heartbeat would fail.",
                next_step="`replicator connect remove` first",
            )
        before = installed(connection)
        if before is not None and before.name != config.installation:
            raise SourceError(f"The schema replicator belongs to the installation {before.name!r}.")
        with connection.transaction():
            connection.execute(script("uninstall"))
            publication.drop(connection, name)
        say("removed: event triggers, publication, schema replicator; replica identities are as they were")
        if _truth(connection, "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)", name):
            say(f"left behind: the slot {name}, which pins WAL; `replicator connect remove --purge` drops it")


def _check_rights(connection: Connection, dsn: str) -> None:
    if not _truth(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        user = connection.info.user
        managed = _truth(
            connection,
            "SELECT EXISTS (SELECT FROM pg_roles WHERE pg_has_role(current_user, oid, 'member') "
            "AND rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin'))",
        )
        if not managed:
            raise SourceError(
                f"{user} may not create event triggers and publications for schemas in {describe(dsn)}.",
                next_step="run `replicator source install` with a superuser's source.dsn; "
                "the connector itself needs less (source.connector_dsn)",
            )


def _compatible(connection: Connection, config: Config) -> Installed | None:
    before = installed(connection)
    if before is None:
        return None
    if before.name != config.installation:
        raise SourceError(
            f"This database is captured by the installation {before.name!r} already; one database has one.",
            next_step=f"set installation: {before.name}, or uninstall with that installation's configuration",
        )
    if before.version > VERSION:
        raise SourceError(
            f"The schema replicator has version {before.version} here; this program knows {VERSION}.",
            next_step="run a newer replicator",
        )
    system, timeline = identity(connection)
    if (before.system_identifier, before.timeline) != (system, timeline):
        raise SourceError(
            f"This server is not the one that was installed on: system {before.system_identifier} timeline "
            f"{before.timeline} then, {system} timeline {timeline} now. LSNs of then and now don't compare, "
            "and changes between the two may be missing.",
            next_step="`replicator source uninstall`, then a new installation: a new name, a new snapshot",
        )
    return before


def _put_schema(connection: Connection, config: Config, before: Installed | None) -> None:
    system, timeline = identity(connection)
    with connection.transaction():
        if before is not None:
            # Our own DDL is no part of the log.
            connection.execute("DROP EVENT TRIGGER IF EXISTS replicator_ddl")
            connection.execute("DROP EVENT TRIGGER IF EXISTS replicator_drop")
            connection.execute("DROP EVENT TRIGGER IF EXISTS replicator_rewrite")
        connection.execute(script("tables"))
        connection.execute(script("functions"))
        connection.execute(
            """
            INSERT INTO replicator.installation
            VALUES (1, %(name)s, %(version)s, %(schemas)s, %(system)s, %(timeline)s,
                clock_timestamp(), session_user, %(reread_bytes)s)
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, schemas = excluded.schemas,
                reread_bytes = excluded.reread_bytes
            """,
            {
                "name": config.installation,
                "version": VERSION,
                "schemas": config.source.schemas,
                "system": system,
                "timeline": timeline,
                "reread_bytes": config.source.reread_mb * 2**20,
            },
        )
        _let_mark(connection, config)
        connection.execute(script("triggers"))


def _wait_for_older_transactions(connection: Connection, deadline_s: float) -> None:
    """A transaction that is older than the triggers may have made a table that they didn't see."""
    older = _writing(connection)
    deadline = time.monotonic() + deadline_s
    while still := {xid: what for xid, what in _writing(connection).items() if xid in older}:
        if time.monotonic() > deadline:
            raise SourceError(
                f"Transactions older than the event triggers are still open after {deadline_s:.0f} s "
                f"({'; '.join(still.values())}); a table that they make would be missed.",
                next_step="let them end, and run this again; what was installed so far stays",
            )
        time.sleep(0.1)


def _writing(connection: Connection) -> dict[str, str]:
    """The transactions of this database that have written something, by xid, with what is known of them."""
    rows = connection.execute(
        """
        SELECT backend_xid::text, format('pid %s of %s, since %s', pid, usename, xact_start)
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
        UNION ALL
        SELECT transaction::text, format('prepared transaction %s of %s, since %s', gid, owner, prepared)
        FROM pg_prepared_xacts WHERE database = current_database()
        """
    ).fetchall()
    return {str(xid): str(what) for xid, what in rows}


def _whole_old_rows(connection: Connection, config: Config, deadline_s: float) -> int:
    tables = captured.read(connection, config.source.schemas).tables
    changed = sum(table.replica_identity != "f" for table in tables)
    todo = [t.name for t in tables if t.replica_identity != "f" or t.is_partition or t.kind == "p"]
    deadline = time.monotonic() + deadline_s
    for name in todo:
        identifier = sql.Identifier(name.schema, name.table).as_string(connection)
        while True:
            try:
                with connection.transaction():
                    # A short wait: while ALTER TABLE queues for its lock, everybody queues behind it.
                    connection.execute("SET LOCAL lock_timeout = '1s'")
                    connection.execute("SELECT replicator.keep_before(%s::regclass)", (identifier,))
                break
            except psycopg.errors.LockNotAvailable:
                if time.monotonic() > deadline:
                    raise SourceError(
                        f"{name} is locked by somebody else; REPLICA IDENTITY FULL can't be set on it.",
                        next_step="find the lock in pg_locks, or run this again in a quiet moment; "
                        "what was set so far stays",
                    ) from None
            except psycopg.errors.UndefinedTable:
                break
    return changed


def _grant(connection: Connection, config: Config) -> None:
    """What the connector's own user needs of our schema, where it isn't the one who installs."""
    if config.source.connector_dsn is None:
        return
    user = parameters(config.source.connector_dsn.get_secret_value()).get("user")
    if not user or user == connection.info.user:
        return
    role = sql.Identifier(user)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA replicator TO {}").format(role))
    connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA replicator TO {}").format(role))
    # The canary's table is made anew by each doctor.
    connection.execute(
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA replicator GRANT SELECT ON TABLES TO {}").format(role)
    )
    connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION replicator.beat() TO {}").format(role))


def _let_mark(connection: Connection, config: Config) -> None:
    """Let the named roles call `replicator.mark`; before the triggers are there, so that it isn't logged."""
    for name in config.source.mark_roles:
        role = sql.Identifier(name)
        try:
            with connection.transaction():
                connection.execute(sql.SQL("GRANT USAGE ON SCHEMA replicator TO {}").format(role))
                connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION replicator.mark TO {}").format(role))
        except psycopg.errors.UndefinedObject:
            raise SourceError(
                f"source.mark_roles names {name!r}, and the server has no such role; nothing was changed.",
                next_step="create the role, or correct the name",
            ) from None


def _truth(connection: Connection, query: LiteralString, *values: object) -> bool:
    row = connection.execute(query, values).fetchone()
    return row is not None and bool(row[0])
