"""A database and an installation's name of a test's own, gone without trace afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import requests
from confluent_kafka.admin import AdminClient
from psycopg import sql

from deploy.local.endpoints import Endpoints
from deploy.local.waiting import wait_for

_CLEANUP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SourceDatabase:
    """`installation` is free for use as connector name, topic prefix, slot and publication."""

    name: str
    installation: str
    dsn: str


@contextmanager
def fresh_database(endpoints: Endpoints) -> Iterator[SourceDatabase]:
    """Make an empty database; drop it with its connectors, slots and topics afterwards."""
    name = f"t{uuid4().hex[:10]}"
    with psycopg.connect(endpoints.postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield SourceDatabase(name=name, installation=name, dsn=endpoints.postgres.dsn_of(name))
    finally:
        remove_connectors(endpoints, name)
        drop_slots(endpoints, name)
        with psycopg.connect(endpoints.postgres.dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
        delete_topics(endpoints, f"{name}.")


def remove_connectors(endpoints: Endpoints, prefix: str) -> None:
    """Delete every connector whose name begins with `prefix`."""
    url = f"{endpoints.connect.url}/connectors"

    def missing() -> str | None:
        try:
            names = [name for name in requests.get(url, timeout=10).json() if name.startswith(prefix)]
            answers = [requests.delete(f"{url}/{name}", timeout=10).status_code for name in names]
        except requests.RequestException as error:
            return f"Connect doesn't answer: {error}"
        # 409 while the worker rebalances: ask again.
        return None if not names else f"{names} are still there, Connect said {answers}"

    wait_for(f"connectors {prefix}* to be gone", missing, _CLEANUP_SECONDS)


def drop_slots(endpoints: Endpoints, database: str) -> None:
    """Drop the database's replication slots; a connector's task may hold on to its slot for some seconds."""

    def missing() -> str | None:
        with psycopg.connect(endpoints.postgres.dsn, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT slot_name, active FROM pg_replication_slots WHERE database = %s", (database,)
            ).fetchall()
            for slot, active in rows:
                if not active:
                    connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
        held = [slot for slot, active in rows if active]
        return f"slots {held} are in use" if held else None

    wait_for(f"the slots of {database} to be free", missing, _CLEANUP_SECONDS)


def delete_topics(endpoints: Endpoints, prefix: str) -> None:
    """Delete the topics whose names begin with `prefix`."""
    admin = AdminClient({"bootstrap.servers": endpoints.kafka.bootstrap_servers})
    names = [name for name in admin.list_topics(timeout=30).topics if name.startswith(prefix)]
    if names:
        for future in admin.delete_topics(names).values():
            future.result(timeout=30)
