"""Whether a target's server can hold what a plan would build: asked before anything is written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

import psycopg

from replicator.restore.errors import TargetRefusedError
from replicator.restore.plan import Plan, TablePlan
from replicator.restore.target.database import Connection

_EXTENSION = re.compile(
    r"CREATE EXTENSION (?:IF NOT EXISTS )?(?P<name>\"(?:[^\"]|\"\")+\"|[\w-]+)", re.IGNORECASE
)
_PLACE = """
SELECT current_setting('data_directory'),
       extract(epoch FROM (pg_stat_file('PG_VERSION')).modification)::int8,
       pg_tablespace_location(dattablespace)
  FROM pg_database WHERE datname = current_database()
"""


def check_server(connection: Connection, plan: Plan) -> None:
    """`TargetRefusedError` when the target's server can't hold the result; see `refuse`."""
    rows = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
    refuse(connection.info.server_version // 10_000, {name for (name,) in rows}, plan)


def refuse(major: int, extensions: Collection[str], plan: Plan) -> None:
    """`TargetRefusedError` for a server of an older major version than the source's, and for extensions that
    it lacks. Pure.
    """
    source = plan.schema.dump.major
    if source is not None and major < source:
        raise TargetRefusedError(
            f"The target's server is PostgreSQL {major}, the source was {source} at that moment: an "
            "older one doesn't know all that a schema may hold, so the result couldn't be held to be exact.",
            next_step=f"restore into PostgreSQL {source} or newer; nothing was written",
        )
    commands = (command.statement for command in plan.schema.commands)
    dumped = (text for entry in plan.schema.dump.entries() for text in entry.statements)
    missing = sorted(_extensions([*dumped, *commands]) - set(extensions))
    if missing:
        raise TargetRefusedError(
            f"The target's server hasn't got {_plural(missing)} {', '.join(missing)}, which the source had.",
            next_step="install their packages on the target's server (pg_available_extensions lists what is "
            "there); nothing was written",
        )


def check_room(connection: Connection, plan: Plan) -> None:
    """`TargetRefusedError` when the target's disk can't hold the rows, as far as it can be seen from here."""
    place, needed = _place(connection), least_bytes(plan)
    if place is None:
        return
    free = shutil.disk_usage(place).free
    if free < needed:
        raise TargetRefusedError(
            f"{place} has {free / 2**20:,.1f} MiB free, and compressed the rows alone take "
            f"{needed / 2**20:,.1f}: they don't fit there. Nothing was written.",
            next_step="free some space, or name a database on a larger disk; with indexes and WAL several "
            "times as much is needed",
        )


def least_bytes(plan: Plan) -> int:
    """A size that the rows at the cut won't stay below: what those that were there at the beginning (the
    snapshot's, or the base's) take in segments, compressed. PostgreSQL packs no row as tightly. Pure.
    """
    if plan.chosen.owner is not None:
        return 0  # a few rows of each table
    return sum(_least(plan, table) for table in plan.tables)


def _least(plan: Plan, table: TablePlan) -> int:
    if not table.records:
        return 0
    scanned = sum(plan.history.snapshot.scanned.get(part.collection, 0) for part in table.parts)
    begun = scanned + sum(part.base_records for part in table.parts)
    return int(table.size * min(1.0, begun / table.records))


def _extensions(statements: Iterable[str]) -> set[str]:
    found = filter(None, map(_EXTENSION.match, statements))
    return {match["name"].strip('"').replace('""', '"') for match in found}


def _plural(names: list[str]) -> str:
    return "the extension" if len(names) == 1 else "the extensions"


def _place(connection: Connection) -> str | None:
    """Where the database's files are, if the server is this machine's and tells; a directory of the same name
    that is another's isn't taken for it.
    """
    host = connection.info.hostaddr or connection.info.host
    if not (host.startswith(("/", "127.")) or host in ("::1", "localhost")):
        return None
    try:
        row = connection.execute(_PLACE).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    if row is None:
        return None
    data, modified, tablespace = row
    try:
        if int((Path(data) / "PG_VERSION").stat().st_mtime) != modified:
            return None
        return str(Path(tablespace or data).resolve(strict=True))
    except OSError:
        return None
