"""A database of its own, captured by a connector of its own, for any number of sinks to read from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import requests
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import configuration
from deploy.local.endpoints import Endpoints
from deploy.local.errors import StackError
from deploy.local.waiting import wait_for
from tests.faults import topics, traffic

ROOT = Path(__file__).resolve().parents[2]


class Capture:
    """One captured database. `name` is the installation, the connector and the database alike."""

    def __init__(
        self,
        endpoints: Endpoints,
        directory: Path,
        name: str | None = None,
        *,
        more: str = "",
        source: Mapping[str, Any] | None = None,
    ) -> None:
        """`more` is SQL that is run after the traffic's schema, before anything is captured; `source` adds to
        that section of the configuration.
        """
        self.endpoints = endpoints
        self.directory = directory
        self.name = name or f"f{uuid4().hex[:8]}"
        self.dsn = endpoints.postgres.dsn_of(self.name)
        self.more = more
        self._source = dict(source or {})
        self._markers = 0

    def make(self) -> None:
        """Database, our schema, the connector; returns when its task runs."""
        self._admin(f'CREATE DATABASE "{self.name}"')
        with psycopg.connect(self.dsn) as connection:
            connection.execute(traffic.SCHEMA)
            if self.more:
                connection.execute(self.more.encode())
        config = self.write_config("source")
        self.replicator(config, "source", "install")
        self.replicator(config, "connect", "apply", "--yes", "--deadline", "180")

    def also(self, **source: Any) -> None:
        """Add to the configuration's section `source`, or replace what it has."""
        self._source |= source

    def remove(self) -> None:
        """Connector, slot, topics and database go: each costs WAL and CPU."""
        config = self.write_config("source")
        with suppress(subprocess.CalledProcessError):
            self.replicator(config, "connect", "remove", "--purge", "--yes")
        with suppress(requests.RequestException):
            requests.delete(f"{self.endpoints.connect.url}/connectors/{self.name}", timeout=30)
        names = topics.of_installation(self.bootstrap, self.name)
        if names:
            admin = AdminClient({"bootstrap.servers": self.bootstrap})
            for future in admin.delete_topics(names).values():
                with suppress(KafkaException):
                    future.result()
        wait_for("the end of the connector's session", self._slot_in_use, 60.0)
        self._admin(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    @property
    def bootstrap(self) -> str:
        return self.endpoints.kafka.bootstrap_servers

    def write_config(self, name: str, **sections: Any) -> Path:
        """A configuration file; `sections` replace or add top-level keys."""
        document = configuration.captured(self.endpoints, self.name, self.dsn, **self._source)
        return configuration.save(self.directory / f"{name}.yaml", {**document, **sections})

    def replicator(
        self, config: Path, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end; its output is in the error when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "replicator", "-c", str(config), *arguments],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode != 0:
            raise subprocess.CalledProcessError(
                done.returncode, f"replicator {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def settle(self, deadline_s: float = 180.0) -> topics.Ends:
        """Commit a marker, wait until Kafka has it, and give the ends of all topics then (`settled_ends`)."""
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM markers").fetchone()
            assert found is not None
            connection.execute("INSERT INTO markers (id) VALUES (%s)", found)
            xid = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
            assert xid is not None
        try:
            topics.wait_for_transaction(self.bootstrap, self.name, xid[0], deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.trace() or 'the task runs'}") from None
        return topics.settled_ends(self.bootstrap, self.name, deadline_s)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within it the connector has no task; what happens meanwhile is decoded afterwards. Paused, Debezium
        would go on decoding.
        """
        self._turn("stop", "STOPPED")
        try:
            yield
        finally:
            self._turn("resume", "RUNNING")

    def _turn(self, verb: str, state: str) -> None:
        url = f"{self.endpoints.connect.url}/connectors/{self.name}"
        requests.put(f"{url}/{verb}", timeout=30).raise_for_status()

        def lacking() -> str | None:
            told = requests.get(f"{url}/status", timeout=30).json()
            there = told["connector"]["state"] == state and bool(told["tasks"]) == (state == "RUNNING")
            return None if there else str(told)

        wait_for(f"the connector to be {state}", lacking, 60)

    def trace(self) -> str:
        """What the connector's task says of its failure; empty while it runs."""
        url = f"{self.endpoints.connect.url}/connectors/{self.name}/status"
        tasks = requests.get(url, timeout=30).json().get("tasks") or [{}]
        return str(tasks[0].get("trace", ""))

    def _slot_in_use(self) -> str | None:
        """A slot that somebody still reads; the database can't be dropped until nobody does."""
        with psycopg.connect(self.endpoints.postgres.dsn) as connection:
            row = connection.execute(
                "SELECT slot_name || ' is active' FROM pg_replication_slots WHERE active AND database = %s",
                (self.name,),
            ).fetchone()
        return None if row is None else str(row[0])

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.endpoints.postgres.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def captured(
    endpoints: Endpoints,
    directory: Path,
    *,
    more: str = "",
    source: Mapping[str, Any] | None = None,
    flowing: bool = True,
) -> Iterator[Capture]:
    """A capture that is removed afterwards, whatever happens; `flowing` waits until changes reach Kafka."""
    directory.mkdir(parents=True, exist_ok=True)
    capture = Capture(endpoints, directory, more=more, source=source)
    try:
        capture.make()
        if flowing and not _flows(capture):
            # Seen on a busy machine, in one connector of a hundred: the worker's producer hangs for good in
            # one of its first transactions; the task stays RUNNING, sends nothing and can't be ended.
            with suppress(StackError):
                capture.remove()
            capture = Capture(endpoints, directory, more=more, source=source)
            capture.make()
        yield capture
    finally:
        capture.remove()
        shutil.rmtree(directory, ignore_errors=True)


def _flows(capture: Capture) -> bool:
    wanted = f"{capture.name}.transaction"

    def lacking() -> str | None:
        there = topics.of_installation(capture.bootstrap, capture.name)
        return None if wanted in there else f"there are {len(there)} topics, and not this one"

    with suppress(StackError):
        wait_for(wanted, lacking, 60.0)
        return True
    return False
