"""The database that a restore writes: empty before, marked while it is being filled, and after.

The mark is the one row of `replicator_restore.state`. It says `running` from the first statement on, so a
restore that was killed is seen for what it is; only a proven one says `complete`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from replicator import __version__
from replicator.restore.errors import TargetFailedError, TargetRefusedError

Connection = psycopg.Connection[Any]

_CLEAN = "name an empty database, or let this one be emptied: --force-clean removes everything that is in it"
_OBJECTS = """
SELECT kind, name FROM (
    SELECT 'relation' AS kind, c.oid::regclass::text AS name, 'pg_class'::regclass AS class, c.oid
      FROM pg_class c WHERE c.relnamespace = ANY(%(schemas)s::oid[]) AND c.relkind <> 't'
    UNION ALL SELECT 'routine', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid
      FROM pg_proc p WHERE p.pronamespace = ANY(%(schemas)s::oid[])
    UNION ALL SELECT 'type', t.oid::regtype::text, 'pg_type'::regclass, t.oid
      FROM pg_type t WHERE t.typnamespace = ANY(%(schemas)s::oid[]) AND t.typrelid = 0
    UNION ALL SELECT 'event trigger', e.evtname, 'pg_event_trigger'::regclass, e.oid FROM pg_event_trigger e
    UNION ALL SELECT 'publication', p.pubname, 'pg_publication'::regclass, p.oid FROM pg_publication p
    UNION ALL SELECT 'large object', m.oid::text, 'pg_largeobject_metadata'::regclass, m.oid
      FROM pg_largeobject_metadata m
) found
WHERE NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = found.class AND d.objid = found.oid AND d.deptype = 'e')
LIMIT 4
"""
_SCHEMAS = """
SELECT oid::int8, nspname FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'replicator_restore')
ORDER BY nspname
"""
_MARK = """
CREATE SCHEMA replicator_restore;
CREATE TABLE replicator_restore.state (
    id          integer PRIMARY KEY CHECK (id = 1),
    state       text NOT NULL CHECK (state IN ('running', 'complete', 'failed')),
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    software    text NOT NULL,
    installation text NOT NULL,
    destination text NOT NULL,
    cut         jsonb NOT NULL,
    lsn         pg_lsn NOT NULL,
    error       text,
    report      jsonb,
    certificate text
);
COMMENT ON SCHEMA replicator_restore IS
    'Whether the restore of this database is complete. Only then it equals the source. May be dropped then.';
"""


def connect(dsn: str, **more: Any) -> Connection:
    """A connection in autocommit mode; `TargetRefusedError` when the target can't be reached."""
    try:
        return psycopg.connect(dsn, autocommit=True, application_name="replicator restore", **more)
    except psycopg.OperationalError as error:
        raise TargetRefusedError(
            f"The target database can't be reached: {str(error).strip()}",
            next_step="create it first (`createdb`), and check host, port, user and password of --target",
        ) from None


def state(connection: Connection) -> dict[str, Any] | None:
    """The mark of an earlier restore; None when there is none."""
    there = connection.execute("SELECT to_regclass('replicator_restore.state') IS NOT NULL").fetchone()
    if there is None or not there[0]:
        return None
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM replicator_restore.state").fetchone()


def check_result(dsn: str) -> None:
    """`TargetRefusedError` when the database bears the mark of a restore that isn't complete: it is no
    result.
    """
    with connect(dsn) as connection:
        before = state(connection)
    if before is not None and before["state"] != "complete":
        why = f" It says: {before['error']}" if before["error"] else ""
        raise TargetRefusedError(
            f"The database holds a restore that is {before['state']}, not complete; it is nobody's "
            f"copy.{why}",
            next_step="restore again, with --force-clean, and use the result of that",
        )


def check_empty(connection: Connection) -> None:
    """`TargetRefusedError` when the target holds anything of a user's, or an earlier restore, named by its
    state.
    """
    before = state(connection)
    if before is not None:
        what = {
            "complete": "holds the complete restore of",
            "failed": "holds a FAILED restore, which must not be used, of",
            "running": "holds an unfinished restore, which must not be used (running, or killed), of",
        }[before["state"]]
        raise TargetRefusedError(
            f"The target {what} {before['installation']} to LSN {before['lsn']}, begun "
            f"{before['started_at']:%F %T %Z}.",
            next_step=_CLEAN,
        )
    schemas = connection.execute(_SCHEMAS).fetchall()
    found = connection.execute(_OBJECTS, {"schemas": [oid for oid, _ in schemas]}).fetchall()
    found += [("schema", name) for _, name in schemas if name != "public"]
    if found:
        examples = ", ".join(f"{kind} {name}" for kind, name in found[:3])
        raise TargetRefusedError(
            f"The target isn't empty ({examples}{' …' if len(found) > 3 else ''}).", next_step=_CLEAN
        )


def clean(connection: Connection) -> None:
    """Remove everything from the database that isn't PostgreSQL's own."""
    for kind, catalog, name in (
        ("EVENT TRIGGER", "pg_event_trigger", "evtname"),
        ("PUBLICATION", "pg_publication", "pubname"),
        ("EXTENSION", "pg_extension", "extname"),
    ):
        query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(name), sql.Identifier(catalog))
        for (each,) in connection.execute(query).fetchall():
            if each != "plpgsql":
                connection.execute(sql.SQL("DROP {} {} CASCADE").format(sql.SQL(kind), sql.Identifier(each)))
    for _, name in connection.execute(_SCHEMAS).fetchall():
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
    connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
    # As initdb makes it; https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATTERNS
    owner = " AUTHORIZATION pg_database_owner" if connection.info.server_version >= 140_000 else ""
    connection.execute(f"CREATE SCHEMA public{owner}; GRANT USAGE ON SCHEMA public TO PUBLIC".encode())
    # The mark goes last: a clean that is interrupted leaves a target that is still refused.
    connection.execute("DROP SCHEMA IF EXISTS replicator_restore CASCADE")


def mark_running(connection: Connection, installation: str, destination: str, cut: dict[str, object]) -> None:
    """Mark the target before anything else is written."""
    with connection.transaction():
        connection.execute(_MARK)
        connection.execute(
            "INSERT INTO replicator_restore.state "
            "(id, state, started_at, software, installation, destination, cut, lsn) "
            "VALUES (1, 'running', clock_timestamp(), %s, %s, %s, %s, %s)",
            (__version__, installation, destination, json.dumps(cut), str(cut["lsn"])),
        )


def mark_complete(connection: Connection, report: dict[str, object], certificate: str) -> None:
    """The last statement of a restore that was proven."""
    connection.execute(
        "UPDATE replicator_restore.state SET state = 'complete', finished_at = clock_timestamp(), report = "
        "%s, certificate = %s",
        (json.dumps(report), certificate),
    )


def mark_failed(dsn: str, error: str) -> None:
    """Say in the target that it must not be used; quietly nothing when it can't be reached: it says `running`
    then.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            connection.execute(
                "UPDATE replicator_restore.state SET state = 'failed', finished_at = clock_timestamp(), "
                "error = %s "
                "WHERE state = 'running'",
                (error,),
            )
    except psycopg.Error:
        return


def is_failing(error: psycopg.Error) -> bool:
    """Whether it is the server that fails (no disk space or memory, shut down, gone) and not the statement.

    https://www.postgresql.org/docs/current/errcodes-appendix.html, classes 53, 57P and 58, and none at all.
    """
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return True
    return (error.sqlstate or "").startswith(("53", "57P", "58"))


def failed(error: psycopg.Error) -> TargetFailedError:
    """What the server said, and what to do then."""
    if isinstance(error, psycopg.errors.DiskFull):
        return TargetFailedError(
            f"The target's server has no disk space left: {str(error).strip()}. The database is no "
            "result and is marked so; nothing that is stored is in doubt.",
            next_step="free some space, or name a database on a larger disk, and restore again with "
            "--force-clean",
        )
    return TargetFailedError(
        f"The target's server failed: {str(error).strip()}. The database is no result, as it says in "
        "replicator_restore.state; nothing that is stored is in doubt.",
        next_step="see the server's log, and restore again with --force-clean",
    )


def collects_statistics(connection: Connection) -> bool:
    """Whether the server collects the planner's statistics of new tables by itself, within about a minute.

    https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-STATISTICS
    """
    row = connection.execute(
        "SELECT current_setting('autovacuum')::bool AND current_setting('track_counts')::bool"
    ).fetchone()
    return row is not None and bool(row[0])


def existing_roles(connection: Connection, names: Iterable[str]) -> set[str]:
    """Those of the roles that the target's server has."""
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(names),)
    ).fetchall()
    return {name for (name,) in rows}
