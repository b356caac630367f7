"""Rows into tables, several tables at a time: while one is folded and copied another gets its indexes."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import psycopg

from replicator.debezium.pgtypes import PgType
from replicator.restore.plan import Plan, Planner
from replicator.restore.report import Progress, Report
from replicator.restore.rows.surviving import Counted
from replicator.restore.rows.table import Table
from replicator.restore.schema import dump
from replicator.restore.schema.dump import Entry
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.table_rows import TableRows
from replicator.restore.target import build, foreign_keys, jobs, load
from replicator.restore.target.build import Builder
from replicator.restore.target.database import Connection
from replicator.restore.target.foreign_keys import ForeignKeys
from replicator.restore.target.jobs import Job

_INDEXES = ("INDEX", "CONSTRAINT")
_ATTEMPTS = 5


class Load(Protocol):
    """Loads one table's rows in one transaction, as `load.by_kernel` does."""

    def __call__(
        self, connection: Connection, taken: TableRows, *, fresh: bool
    ) -> tuple[Counted, list[tuple[str, str]]]:
        """What was counted, and the columns of which values may have been changed on the way, and how."""
        ...


class Filling:
    """Fills the tables of one plan and builds what stands on the rows.

    `memory` is what the keys of one table may take, in bytes; `load_rows` is who folds and copies them.
    """

    def __init__(
        self,
        planner: Planner,
        plan: Plan,
        fetcher: Fetcher,
        memory: int,
        report: Report,
        progress: Progress,
        load_rows: Load = load.by_kernel,
    ) -> None:
        self.plan = plan
        self._load = load_rows
        self._planner = planner
        self._fetcher = fetcher
        self._memory = memory
        self._report = report
        self._progress = progress
        self._lock = threading.Lock()
        self._foreign_keys = ForeignKeys((), {})
        self._types: dict[str, PgType] = {}
        self._users = Counter(part.topic for table in plan.tables for part in table.parts)

    def roles(self) -> set[str]:
        """All roles that the schema's dump names."""
        entries = self.plan.schema.dump.entries()
        return {role for entry in entries for statement in entry.statements for role in dump.roles(statement)}

    def run(
        self,
        tables: Sequence[Table],
        roots: Mapping[str, str],
        workers: Sequence[Connection],
        builder: Builder,
        *,
        fresh: bool,
    ) -> None:
        """Load every captured table, largest first, and give each its indexes as soon as it has its rows, and
        its foreign keys as soon as the tables they refer to have theirs.
        """
        indexes: dict[str, list[Entry]] = defaultdict(list)
        after = self.plan.schema.dump.after_rows if fresh else ()
        for entry in after:
            if entry.type in _INDEXES:
                table = str(entry.table)
                indexes[roots.get(table, table)].append(entry)
        captured = {each.collection for each in self.plan.tables}
        self._progress.tables(sum(each.size for each in self.plan.tables))
        wanted = [table for table in tables if table.collection in captured]
        wanted.sort(key=lambda table: -self.plan.table(table.collection).size)

        # A partitioned table's own keys are whole only when those of its partitions are attached.
        single = {each.identity for each in tables if not each.partitioned}
        filled = {table.identity for table in wanted}
        self._foreign_keys = ForeignKeys(
            self._foreign_key_entries(after),
            {}
            if self.plan.chosen.trimmed  # their rows aren't the last ones yet
            else {name: len(_steps(indexes.get(name, ()))) + (name in filled) for name in single},
        )

        def fill(table: Table) -> jobs.Work:
            return lambda connection: self._fill(connection, table, indexes, builder, fresh=fresh)

        begin = [Job(1, fill(table)) for table in wanted]
        begin += [
            job
            for table, entries in indexes.items()
            if table not in filled
            for job in self._index_jobs(table, entries, builder)
        ]
        declared = {
            text
            for past in self.plan.schema.pasts.values()
            for epoch in past.epochs
            for text in epoch.types.values()
        }
        self._types = build.types(workers[0], declared) if declared else {}
        jobs.run(begin, workers)

    def finish(
        self, connection: Connection, workers: Sequence[Connection], builder: Builder, *, fresh: bool
    ) -> None:
        """What is left: foreign keys side by side, then the rest in the dump's order."""
        after = self.plan.schema.dump.after_rows if fresh else ()
        rest = [entry for entry in after if entry.type not in _INDEXES]
        for entry in (entry for entry in rest if entry.type == "INDEX ATTACH"):
            builder.run(entry)
        keys = self._foreign_keys.rest()
        jobs.run([Job(0, self._foreign_key(entry, builder)) for entry in keys], workers)
        for entry in rest:
            if entry.type not in (foreign_keys.TYPE, "INDEX ATTACH"):
                builder.run(entry)
        for command in self.plan.schema.commands:
            if command.late:
                builder.replay(command)
        connection.execute("SET search_path = ''")
        for (view,) in connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' AND "
            "relnamespace::regnamespace::text <> "
            "'replicator' ORDER BY oid"
        ).fetchall():
            connection.execute(f"REFRESH MATERIALIZED VIEW {view}".encode())
            self._report.refreshed.append(view)

    def analyze(self, tables: Sequence[Table], workers: Sequence[Connection]) -> None:
        """Collect the planner's statistics of all tables."""
        jobs.run([Job(0, _analyze(table)) for table in tables], workers)

    def _fill(
        self,
        connection: Connection,
        table: Table,
        indexes: Mapping[str, list[Entry]],
        builder: Builder,
        *,
        fresh: bool,
    ) -> list[Job]:
        taken = TableRows(self._planner, self.plan, self._fetcher, table, self._memory, self._types)
        counted, unproven = self._load(connection, taken, fresh=fresh)
        taken.prove(counted)
        taken.remove(self._finished(taken.fetched))
        done = taken.report(counted)
        with self._lock:
            self._report.tables.append(done)
            self._report.unproven += [
                {"table": table.collection, "column": column, "why": why} for column, why in unproven
            ]
        self._progress.loaded(table.collection, counted.rows, taken.plan.size)
        begun_keys = self._done(table.identity, builder)
        return [*self._index_jobs(table.identity, indexes.get(table.identity, ()), builder), *begun_keys]

    def _foreign_key_entries(self, entries: Sequence[Entry]) -> list[Entry]:
        """The foreign keys that are built: those between tables of the result."""
        found = [entry for entry in entries if entry.type == foreign_keys.TYPE]
        return [entry for entry in found if not self.plan.chosen.is_cut(foreign_keys.tables_of(entry))]

    def _finished(self, topics: Iterable[str]) -> set[str]:
        """Those of the topics from which no other table of the plan takes rows any more."""
        with self._lock:
            self._users.subtract([*topics])
            return {topic for topic in topics if not self._users[topic]}

    def _index_jobs(self, table: str, entries: Sequence[Entry], builder: Builder) -> list[Job]:
        def build(step: Sequence[Entry]) -> jobs.Work:
            def work(connection: Connection) -> Sequence[Job]:
                for entry in step:
                    builder.run(entry, connection)
                return self._done(table, builder)

            return work

        return [Job(0, build(step)) for step in _steps(entries)]

    def _done(self, table: str, builder: Builder) -> list[Job]:
        """One step of a table is done: the foreign keys that can be built now, when nothing else waits."""
        return [Job(2, self._foreign_key(entry, builder)) for entry in self._foreign_keys.done(table)]

    def _foreign_key(self, entry: Entry, builder: Builder) -> jobs.Work:
        def work(connection: Connection) -> Sequence[Job]:
            for attempt in range(_ATTEMPTS):
                try:
                    builder.run(entry, connection)
                except Exception as error:
                    # Two keys that lock the same two tables in opposite order: one of them begins again.
                    deadlock = isinstance(error.__cause__, psycopg.errors.DeadlockDetected)
                    if not deadlock or attempt == _ATTEMPTS - 1:
                        raise
                else:
                    break
            return ()

        return work


def _steps(entries: Sequence[Entry]) -> list[list[Entry]]:
    """What can be built side by side: indexes; a constraint locks the table, so those go one by one."""
    constraints = [entry for entry in entries if entry.type == "CONSTRAINT"]
    plain = [[entry] for entry in entries if entry.type == "INDEX"]
    return [constraints, *plain] if constraints else plain


def _analyze(table: Table) -> jobs.Work:
    def work(connection: Connection) -> Sequence[Job]:
        connection.execute(f"ANALYZE {table.identity}".encode())
        return ()

    return work
