"""What of our schema is in the captured database, and what isn't as it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from replicator.config import Config
from replicator.source import captured, dump, publication
from replicator.source.connector import slot_name
from replicator.source.database import connect
from replicator.source.install import VERSION, Installed, identity, installed

TRIGGERS = ("replicator_ddl", "replicator_drop", "replicator_rewrite")


@dataclass(frozen=True, slots=True)
class SourceState:
    """The installation as found; `problems` is empty when an exact capture can rest on it."""

    installation: Installed | None
    tables: int
    ddl_rows: int
    beat: int
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The state as JSON takes it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The state as people read it."""
        found = self.installation
        if found is None:
            return list(self.problems)
        return [
            f"installation {found.name}, version {found.version}, schemas {', '.join(found.schemas)}",
            f"{self.tables} tables captured, {self.ddl_rows} rows in the DDL log, heartbeat {self.beat}",
            *(f"not right: {problem}" for problem in self.problems),
        ]


def read(config: Config) -> SourceState:
    """Look at the database; `SourceError` only when it can't be reached."""
    with connect(config.source.dsn.get_secret_value()) as connection:
        found = installed(connection)
        if found is None:
            return SourceState(
                None, 0, 0, 0, ("nothing is installed in this database: run `replicator source install`",)
            )
        problems = []
        if found.name != config.installation:
            problems.append(f"it belongs to the installation {found.name!r}, not {config.installation!r}")
        if found.version != VERSION:
            problems.append(f"version {found.version} is there, {VERSION} is current: install again")
        if (found.system_identifier, found.timeline) != identity(connection):
            problems.append("the server's identity or timeline has changed since: LSNs don't compare")
        enabled = connection.execute(
            "SELECT evtname::text FROM pg_event_trigger WHERE evtname = ANY (%s) AND evtenabled = 'A'",
            (list(TRIGGERS),),
        ).fetchall()
        problems += [
            f"the event trigger {name} is missing or disabled: install again"
            for name in TRIGGERS
            if (name,) not in enabled
        ]
        if set(found.schemas) != set(config.source.schemas):
            problems.append("source.schemas has changed: install again")
        wanted = publication.Publication(
            frozenset([*config.source.schemas, "replicator"]), True, publication.ALL_OPERATIONS
        )
        if publication.read(connection, slot_name(config)) != wanted:
            problems.append(f"the publication {slot_name(config)} is missing or differs: install again")
        tables = captured.read(connection, config.source.schemas)
        problems += [
            f"{table.name} doesn't have REPLICA IDENTITY FULL: install again"
            for table in tables.tables
            if table.replica_identity != "f"
        ]
        if dump.is_due(connection):
            problems.append("DDL ran since the newest schema dump: run `replicator source dump`")
        row = connection.execute(
            "SELECT (SELECT count(*) FROM replicator.ddl_log), (SELECT beat FROM replicator.heartbeat)"
        ).fetchone()
        assert row is not None  # a SELECT without FROM has one row
        return SourceState(found, len(tables.streams), int(row[0]), int(row[1]), tuple(problems))
