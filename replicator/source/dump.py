"""The schema as `pg_dump` writes it, as a row of ddl_log that no DDL command is before or after by mistake.

The dump is taken of an exported snapshot. Its row is inserted under a lock that keeps every DDL from logging,
and only if ddl_log is still what that snapshot saw. So in commit order all commands before the row are in the
dump, and none after it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg.types.json import Json

from replicator.errors import SourceError
from replicator.source.database import Connection, connect, parameters

ATTEMPTS = 5
_OURS = re.compile(
    r"^-- Name: (?:.* )?replicator_\w+(?: \S+)?; Type: (?:EVENT TRIGGER|PUBLICATION[A-Z ]*);"
    r"|^-- Name: .* replicator_truncated?; Type: TRIGGER;"
)
_HEADER = re.compile(r"^-- Name: .*; Type: .*; Schema: ")


def take(dsn: str, pg_dump: Path | None, schemas_left_out: tuple[str, ...] = ("replicator",)) -> int:
    """Log a dump of the schema as it is and return the row's id.

    `SourceError` when pg_dump is missing, too old or fails, and when DDL kept running through all attempts.
    """
    program = find(pg_dump)
    for _ in range(ATTEMPTS):
        with connect(dsn, autocommit=False) as holder:
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            seen, snapshot, definitions = _look(holder)
            text = without_ours(_run(program, dsn, snapshot, schemas_left_out))
        row = _insert(dsn, seen, text, definitions)
        if row is not None:
            return row
    raise SourceError(
        f"DDL kept running in the source: {ATTEMPTS} schema dumps were out of date before they were logged.",
        next_step="run `replicator source dump` again when the migration has finished",
    )


def is_due(connection: Connection) -> bool:
    """Whether DDL was logged since the newest dump, or there is no dump. `SourceError` without our schema."""
    there = connection.execute("SELECT to_regclass('replicator.ddl_log')").fetchone()
    if there is None or there[0] is None:
        raise SourceError("Our schema isn't in this database.", next_step="`replicator source install`")
    row = connection.execute(
        "SELECT coalesce((SELECT kind <> 'dump' FROM replicator.ddl_log ORDER BY id DESC LIMIT 1), true)"
    ).fetchone()
    return row is None or bool(row[0])


def find(pg_dump: Path | None) -> str:
    """The program to run; `SourceError` when it isn't there."""
    found = shutil.which(str(pg_dump) if pg_dump else "pg_dump")
    if found is None:
        raise SourceError(
            f"{pg_dump or 'pg_dump'} is not to be found; the schema of the start can't be logged without it.",
            next_step="install PostgreSQL's client programs, or name one: --pg-dump or source.pg_dump",
        )
    return found


def without_ours(text: str) -> str:
    """The dump without our event triggers and publication, and without psql's own commands (`\\restrict`)."""
    kept: list[str] = []
    skipping = False
    lines = list(io.StringIO(text))  # only \n ends a line here: other breaks are in texts of the database
    for number, line in enumerate(lines):
        opens = line == "--\n" and number + 1 < len(lines) and bool(_HEADER.match(lines[number + 1]))
        if opens:
            skipping = bool(_OURS.match(lines[number + 1]))
        elif skipping and line.startswith("-- PostgreSQL database dump complete"):
            skipping = False
            kept.append("--\n")
        if not skipping and not re.match(r"\\(un)?restrict\b", line):
            kept.append(line)
    return "".join(kept)


def _look(holder: Connection) -> tuple[int, str, list[object]]:
    row = holder.execute(
        """
        SELECT coalesce((SELECT max(id) FROM replicator.ddl_log), 0), pg_export_snapshot(),
            coalesce((SELECT jsonb_agg(replicator.table_definition(c.oid) ORDER BY n.nspname, c.relname)
                      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
                        AND n.nspname NOT IN ('replicator', 'information_schema')
                        AND n.nspname NOT LIKE 'pg\\_%'),
                     '[]')
        """
    ).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    return int(str(row[0])), str(row[1]), list(row[2])


def _run(program: str, dsn: str, snapshot: str, left_out: tuple[str, ...]) -> str:
    part = parameters(dsn)
    environment = {**os.environ, "PGPASSWORD": part.pop("password", os.environ.get("PGPASSWORD", ""))}
    command = [
        program,
        "--schema-only",
        "--no-subscriptions",
        "--encoding=UTF8",
        f"--snapshot={snapshot}",
        *(f"--exclude-schema={schema}" for schema in left_out),
        f"--dbname={psycopg.conninfo.make_conninfo('', **part)}",
    ]
    # As bytes: text mode would make \n of \r\n, which a DEFAULT or a function may have in it.
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout.decode()
    said = done.stderr.decode(errors="replace").strip()
    if "server version mismatch" in said:
        raise SourceError(
            f"{program} is older than the server and can't dump it: {said}",
            next_step="name a pg_dump of the server's version or newer: --pg-dump or source.pg_dump",
        )
    raise SourceError(
        f"{program} failed with exit status {done.returncode}: {said[-1000:]}",
        next_step="run it by hand with --schema-only; the user needs to read every object's definition",
    )


def _insert(dsn: str, seen: int, text: str, definitions: list[object]) -> int | None:
    with connect(dsn, autocommit=False) as connection:
        connection.execute("SET LOCAL lock_timeout = '5s'")
        try:
            connection.execute("LOCK TABLE replicator.ddl_log IN SHARE ROW EXCLUSIVE MODE")
        except psycopg.errors.LockNotAvailable:
            return None
        now = connection.execute("SELECT coalesce(max(id), 0) FROM replicator.ddl_log").fetchone()
        if now is None or now[0] != seen:
            return None
        row = connection.execute(
            """
            INSERT INTO replicator.ddl_log (txid, at, kind, tag, query, search_path, role, definition, dump)
            VALUES (pg_current_xact_id()::text::bigint, clock_timestamp(), 'dump',
                NULL, NULL, NULL, session_user, %s, %s)
            RETURNING id
            """,
            (Json({"tables": definitions}), text),
        ).fetchone()
        assert row is not None  # RETURNING gives the row
        return int(str(row[0]))
