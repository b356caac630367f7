"""The connector of one installation: what Connect has, what it should have, and the way there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from replicator.config import Config
from replicator.debezium.exact import CONVERTER_CLASS
from replicator.errors import SourceError
from replicator.source import captured, continuity, publication
from replicator.source.connect_api import Connect
from replicator.source.connector import connector_name, keep_snapshot, render, slot_name, unkeyable
from replicator.source.database import Connection
from replicator.source.database import connect as connect_database
from replicator.source.difference import Change, difference
from replicator.source.running import ConnectorFailedError, State, state, wait_until_runs

_SLOT_RELEASE_S = 30.0
_STOPPING_S = 10.0
"""Connect stops the tasks of a deleted connector later; one that just starts would make the slot anew."""
_NO_EXACT_VALUES = (
    "put replicator-exact-values.jar beside Debezium's own jars on every Connect worker (the shipped image "
    "has it) and restart them; or take source.exact_values out and run `replicator connect apply`"
)


@dataclass(frozen=True, slots=True)
class Registration:
    """A connector in Connect beside its wanted configuration."""

    config: Config
    connect: Connect
    name: str
    running: Mapping[str, str] | None
    wanted: Mapping[str, str]
    tables: captured.Captured

    @classmethod
    def open(cls, config: Config) -> Registration:
        """Read the source's tables, render, and ask Connect what it has."""
        with connect_database(config.source.dsn.get_secret_value()) as connection:
            tables = captured.read(connection, config.source.schemas)
        connect = Connect.of(config)
        name = connector_name(config)
        running, wanted = connect.config(name), render(config, tables)
        if running is not None:
            wanted = keep_snapshot(running, wanted)
        return cls(config, connect, name, running, wanted, tables)

    @classmethod
    def named(cls, config: Config) -> Registration:
        """Without a look at the source, which may be down. `SourceError` without such a connector."""
        connect = Connect.of(config)
        name = connector_name(config)
        running = connect.config(name)
        if running is None:
            raise SourceError(
                f"Kafka Connect has no connector {name}.", next_step="`replicator connect apply` creates it"
            )
        return cls(config, connect, name, running, running, captured.Captured())

    def changes(self) -> list[Change]:
        """What `apply` would change, secrets masked."""
        return difference(self.running, self.wanted)

    def apply(self) -> None:
        """Validate and send the wanted configuration; `SourceError` says what is objected to or lost."""
        invalid = self.connect.invalid_settings({"name": self.name, **self.wanted})
        if invalid:
            raise SourceError(
                "Connect objects to the configuration; nothing was changed:\n"
                + "\n".join(f"  {key}: {'; '.join(errors)}" for key, errors in invalid.items()),
                next_step="correct replicator.yaml (source.overrides wins over what is shipped)",
            )
        lost = self.hole()
        if lost is not None:
            raise ConnectorFailedError(
                f"The connector {self.name} isn't started. Changes are lost: {lost}.",
                next_step=continuity.CURE,
            )
        self._check_publication()
        if self.running is None or self.changes():
            self.connect.put_config(self.name, self.wanted)
        elif state(self.connect.status(self.name)).failed:
            self.connect.restart(self.name)

    def _check_publication(self) -> None:
        with connect_database(self.config.source.dsn.get_secret_value()) as connection:
            if publication.read(connection, slot_name(self.config)) is None:
                raise SourceError(
                    f"There is no publication {slot_name(self.config)}; the connector would fail.",
                    next_step="`replicator source install` first",
                )

    def wait(self, deadline_s: float, *, current: bool = True) -> State:
        """Wait until it runs, with the wanted configuration if `current`."""
        expected = {k: v for k, v in self.wanted.items() if k != "name"} if current else None
        try:
            return wait_until_runs(self.connect, self.name, deadline_s=deadline_s, config=expected)
        except ConnectorFailedError as error:
            raise self._explained(error) from None

    def hole(self) -> str | None:
        """What the slot has lost for good, in words; None when nothing. `SourceError` without the source."""
        with connect_database(self.config.source.dsn.get_secret_value()) as connection:
            slot = continuity.read_slot(connection, slot_name(self.config))
        return continuity.hole(slot, continuity.committed(self.connect.offsets(self.name)))

    def _explained(self, error: ConnectorFailedError) -> ConnectorFailedError:
        """The error with what the database knows of its cause: a lost slot, a slot that waits."""
        try:
            lost = self.hole()
            blocker = _slot_blocker(self.config) if error.late else None
        except SourceError as away:
            return ConnectorFailedError(f"{error.message}\n{away.message}", next_step=away.next_step)
        if lost is not None:
            return ConnectorFailedError(
                f"{error.message}\nChanges are lost: {lost}.", next_step=continuity.CURE
            )
        if blocker is not None:
            return ConnectorFailedError(
                f"{error.message}\nIts slot can't be made while older transactions are open on the server; "
                f"the oldest: {blocker}.",
                next_step="let that transaction end; the connector goes on by itself",
            )
        lacking = f"class {CONVERTER_CLASS}" in error.message
        return ConnectorFailedError(
            f"{error.message}\nNo change is lost: PostgreSQL's slot keeps them.",
            next_step=_NO_EXACT_VALUES if lacking else error.next_step,
        )

    def problems(self) -> list[str]:
        """What Connect objects to, drift of the running configuration, and keys that can't lead."""
        found = [
            f"{key}: {error}"
            for key, errors in self.connect.invalid_settings({"name": self.name, **self.wanted}).items()
            for error in errors
        ]
        if self.running is None:
            found.append(f"there is no connector {self.name} yet: `replicator connect apply`")
            return found
        for change in self.changes():
            line = f"{change.setting}: {change.old} is running, {change.new} is configured"
            if change.setting == "message.key.columns":
                line += (
                    " (tables made since have their primary key as key; nothing is lost by it, and "
                    "`replicator connect apply` puts the leading column in front from then on)"
                )
            found.append(line)
        found += [
            f"{table.name}: message.key.columns can't express a name in it; its key is the primary key"
            for table in unkeyable(self.config, self.tables)
        ]
        return found

    def pause(self) -> None:
        """Pause the tasks."""
        self.connect.pause(self.name)

    def remove(self, *, purge: bool) -> Iterator[str]:
        """Delete the connector; with `purge` its slot and publication too. Says what stays.

        `SourceError` when the slot isn't let go in time.
        """
        self.connect.delete(self.name)
        yield f"connector {self.name}: deleted"
        slot = slot_name(self.config)
        topics = (
            f"topics {self.config.installation}.*, and Connect's offsets. After a purge, another capture "
            "needs another installation name"
        )
        if not purge:
            yield (
                f"left behind: the slot {slot}, which pins WAL until the disk is full; "
                f"the publication {slot}; {topics}. "
                "`replicator connect remove --purge` drops slot and publication"
            )
            return
        with connect_database(self.config.source.dsn.get_secret_value()) as connection:
            _wait_for_end(connection)
            if _drop_slot(connection, slot):
                yield f"slot {slot}: dropped"
            publication.drop(connection, slot)
        yield f"publication {slot}: dropped"
        yield f"left behind: {topics}"


def _slot_blocker(config: Config) -> str | None:
    """The oldest writing transaction of the server, when our slot isn't ready and waits for it."""
    with connect_database(config.source.dsn.get_secret_value()) as connection:
        ready = connection.execute(
            "SELECT FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn IS NOT NULL",
            (slot_name(config),),
        ).fetchone()
        row = connection.execute(
            "SELECT format('pid %s of %s in %s, since %s', pid, usename, datname, xact_start) "
            "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start < now() - interval '5 s' "
            "ORDER BY xact_start LIMIT 1"
        ).fetchone()
    return str(row[0]) if ready is None and row is not None else None


def _wait_for_end(connection: Connection) -> None:
    """Wait until Debezium has no session in this database any more, or it isn't ours that has."""
    deadline = time.monotonic() + _STOPPING_S
    while time.monotonic() < deadline:
        session = connection.execute(
            "SELECT FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name ~ '^Debezium'"
        ).fetchone()
        if session is None:
            return
        time.sleep(0.2)


def _drop_slot(connection: Connection, slot: str) -> bool:
    deadline = time.monotonic() + _SLOT_RELEASE_S
    while True:
        row = connection.execute(
            "SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,)
        ).fetchone()
        if row is None:
            return False
        if not row[0]:
            try:
                connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
                return True
            except psycopg.errors.ObjectInUse:
                continue
            except psycopg.errors.UndefinedObject:
                return False
        if time.monotonic() > deadline:
            raise SourceError(
                f"The slot {slot} is still being read {_SLOT_RELEASE_S:.0f} s after the connector went.",
                next_step="find its reader in pg_stat_replication; then run this again",
            )
        time.sleep(0.2)
