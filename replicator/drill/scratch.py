"""A PostgreSQL to restore into and throw away: a server of its own, or a database on one that is named."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from replicator.config import Config
from replicator.drill import programs
from replicator.drill.errors import DrillError
from replicator.drill.server import own_server

_ENDING_S = 1.0
"""Sessions may say that their server is gone before it has ended."""
_WAL = 2**30


@dataclass(frozen=True, slots=True)
class Scratch:
    """An empty database for one drill; `dead` says in words how its server ended, None while it runs."""

    dsn: str
    words: str
    dead: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class SourceServer:
    """What has to be known of the source: which server it is on, its major version, and its size in bytes."""

    identifier: int
    major: int
    size: int


def look_at(dsn: str, *, needed: bool) -> SourceServer | None:
    """The source's server; None when it can't be reached and isn't needed, `DrillError` when it is."""
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            size = 0 if row is None else int(row[0])
            return SourceServer(_identifier(connection), connection.info.server_version // 10_000, size)
    except psycopg.Error as error:
        if not needed:
            return None
        raise DrillError(
            f"The source can't be asked, so there is nothing to compare with: {str(error).strip()}",
            next_step="check source.dsn; `--to-time` and `--held` rehearse without the source",
        ) from None


@contextmanager
def scratch(config: Config, source: SourceServer | None) -> Iterator[Scratch]:
    """An empty database that is gone afterwards, whatever happens.

    `DrillError` when none can be made, or when it would be on the source's own server.
    """
    if config.drill.dsn is not None:
        with _on_server(config.drill.dsn.get_secret_value(), source) as made:
            yield made
        return
    if source is not None:
        check_disk(config.drill.scratch or Path(gettempdir()), source.size)
    found = programs.find(config, 0 if source is None else source.major)
    with own_server(found, programs.account(config), config.drill.scratch) as server:
        _create(server.dsn("postgres"), "drill")
        words = f"a server of its own, PostgreSQL {found.major}"
        yield Scratch(server.dsn("drill"), words, partial(server.dead, _ENDING_S))


def check_disk(ground: Path, size: int) -> None:
    """`DrillError` unless there is room for a database of so many bytes and the WAL of loading it.

    WAL is kept up to about a gibibyte by default (max_wal_size); the source's size is what its tables take
    with what is dead in them, so less may do, and a drill that fails in the middle helps nobody.
    """
    needed = size + min(size, _WAL)
    try:
        free = shutil.disk_usage(ground).free
    except OSError:
        return  # that it can't be written to is told by whoever tries
    if free < needed:
        raise DrillError(
            f"{ground} has {free / 2**30:.1f} GiB free, and a copy of the source needs about "
            f"{needed / 2**30:.1f}: the drill wasn't begun.",
            next_step="name a larger place under `drill: {scratch: …}`, or a server with `drill: {dsn: …}`",
        )


@contextmanager
def _on_server(dsn: str, source: SourceServer | None) -> Iterator[Scratch]:
    name = f"replicator_drill_{secrets.token_hex(6)}"
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            identifier, major = _identifier(connection), connection.info.server_version // 10_000
            words = f"a database on {connection.info.host}, PostgreSQL {major}"
    except psycopg.Error as error:
        raise _unusable(error) from None
    if source is not None and identifier == source.identifier:
        raise DrillError(
            "drill.dsn leads to the source's own server: a rehearsal there would load what it is to protect, "
            "and nothing was made.",
            next_step="name another server, or leave drill.dsn out to have one made on this machine",
        )
    if source is not None and major < source.major:
        raise DrillError(
            f"The scratch server is PostgreSQL {major} and the source {source.major}: its schema may not be "
            "understood there.",
            next_step=f"name a server of PostgreSQL {source.major} or newer under `drill: {{dsn: …}}`",
        )

    def dead() -> str | None:
        try:
            with psycopg.connect(dsn, connect_timeout=5):
                return None
        except psycopg.OperationalError as error:
            return f"it can't be reached any more: {str(error).strip()}"

    _create(dsn, name)
    try:
        yield Scratch(make_conninfo(dsn, dbname=name), words, dead)
    finally:
        # Where the server is gone, the database is its administrator's to drop: nobody else can.
        with suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _create(dsn: str, name: str) -> None:
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )
    except psycopg.Error as error:
        raise _unusable(error) from None


def _identifier(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    assert row is not None
    return int(row[0])


def _unusable(error: psycopg.Error) -> DrillError:
    return DrillError(
        f"No scratch database can be made: {str(error).strip()}",
        next_step="check drill.dsn: its role has to be allowed to create databases and to restore into them",
    )
