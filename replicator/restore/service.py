"""A restore from beginning to end: plan, empty target, schema, rows, what is built on rows, proof, mark."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import psycopg

from replicator import certificate
from replicator.certificate import Digest
from replicator.config import Config
from replicator.restore import certify, kernels
from replicator.restore.errors import ProofError
from replicator.restore.moment.cut import Target
from replicator.restore.opening import Limits, opened, planned_for
from replicator.restore.plan import Plan
from replicator.restore.report import Progress, Report, Silent
from replicator.restore.rows.table import Table
from replicator.restore.selection import EVERYTHING, Selection
from replicator.restore.spread import opening as engines
from replicator.restore.target import build, database, load, preflight, sequences, suspended, trimming
from replicator.restore.target.database import Connection
from replicator.restore.target.filling import Filling


def plan(
    config: Config,
    source: str | Sequence[str],
    to: Target,
    limits: Limits | None = None,
    selection: Selection = EVERYTHING,
) -> Plan:
    """The plan alone: the listings, small topics, and beginnings of segments. Raises as `run` does."""
    with opened(config, source, limits or Limits(), to) as found:
        made = planned_for(found, to, selection)
        sources = found.sources
        return replace(made, sources=sources.planned(made.pieces), replaced=tuple(sources.replaced))


def run(
    config: Config,
    source: str | Sequence[str],
    to: Target,
    dsn: str,
    *,
    force_clean: bool = False,
    selection: Selection = EVERYTHING,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Report:
    """Rebuild the database, or the selected part, as of the target in an empty database, and prove it.

    Of several sources the first is read, and the others where it has holes or fails.

    `RefusedError` and its kinds when an exact result isn't possible, `IntegrityError` when stored data
    contradicts itself or a genuine restore point, `StorageError` when the destination fails. From its first
    statement in the target to its last the target bears the mark `running`; after an error, `failed`.
    """
    limits, progress = limits or Limits(), progress or Silent()
    if not kernels.are_kept():
        progress.phase("compiling the decoder, once on this machine")
        kernels.load()
    progress.phase("reading the history")
    begun, begun_ms = time.monotonic(), time.time_ns() // 1_000_000
    with ExitStack() as stack:
        found = stack.enter_context(opened(config, source, limits, to))
        planned, sources = planned_for(found, to, selection), found.sources
        source = planned.destination
        report = Report(config.installation, source, planned.cut, transactions=planned.cut.number)
        report.promises = planned.promises
        report.base = None if planned.base is None else planned.base.id
        report.not_captured = list(planned.not_captured)
        report.selection = planned.chosen.as_json()
        report.phases["reading the history"] = round(time.monotonic() - begun, 3)
        connection = stack.enter_context(database.connect(dsn))
        preflight.check_server(connection, planned)
        if force_clean:
            database.clean(connection)
        database.check_empty(connection)
        preflight.check_room(connection, planned)
        database.mark_running(connection, config.installation, source, planned.cut.as_json())
        try:
            workers = [stack.enter_context(database.connect(dsn)) for _ in range(max(1, limits.jobs))]
            # Each worker folds one table, with its part of the memory.
            share = limits.memory_bytes // len(workers)
            load_rows = stack.enter_context(
                engines.load_rows(limits.engine, limits.spark_master, planned, found.fetcher.scratch)
            )
            filling = Filling(found.planner, planned, found.fetcher, share, report, progress, load_rows)
            tables = _rebuild(filling, connection, workers, report, progress)
            if limits.analyze or not database.collects_statistics(connection):
                with report.timed("collecting statistics", progress):
                    filling.analyze(tables, workers)
            report.segments, report.bytes = sources.segments, sources.size
            report.sources, report.replaced = sources.shares, sources.replaced
            digests: list[Digest] = []
            if limits.digests:
                with report.timed("computing digests", progress):
                    digests = certify.digests(dsn, limits.jobs)
            times_ms = (begun_ms, time.time_ns() // 1_000_000)
            made = certify.make(planned, found.catalog, sources, report, connection, times_ms, digests)
            report.certificate = certificate.sign(made, config.control)
            database.mark_complete(connection, report.as_json(), certificate.encode(report.certificate))
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            database.mark_failed(dsn, "interrupted by a person" if interrupted else str(error))
            if isinstance(error, psycopg.Error):
                raise database.failed(error) from error
            raise
    return report


def _rebuild(
    filling: Filling,
    connection: Connection,
    workers: Sequence[Connection],
    report: Report,
    progress: Progress,
) -> list[Table]:
    """Build and prove all of it; returns the tables."""
    plan = filling.plan
    # Commands after the dump may stand on anything in it, so then all of it is built before the rows.
    fresh = not plan.schema.commands
    with report.timed("building the schema", progress):
        roles = database.existing_roles(connection, filling.roles())
        builder = build.Builder(connection, plan.schema.dump.settings, roles)
        for entry in plan.schema.dump.before_rows:
            builder.run(entry)
        if not fresh:
            for entry in plan.schema.dump.after_rows:
                builder.run(entry)
            for command in plan.schema.commands:
                if not command.late:
                    builder.replay(command)
            builder.keep_before(plan.schema.definitions)
        report.ddl_replayed = len(plan.schema.commands)
        connection.execute("SET search_path = ''")
        taken_away = [] if fresh else suspended.take_away(connection)
    with report.timed("loading rows", progress):
        tables = build.tables(connection)
        for worker in workers:
            builder.prepare(worker)
            load.prepare(worker, fresh=fresh)
        filling.run(tables, build.roots(connection), workers, builder, fresh=fresh)
        report.kept(trimming.rows(connection, plan, tables, fresh=fresh))
    with report.timed("finishing", progress):
        for statement in taken_away:
            connection.execute(statement.encode())
        filling.finish(connection, workers, builder, fresh=fresh)
        build.validate_inherited(connection, plan.schema.definitions)
        report.went_with_tables = trimming.tables(connection, plan)
        tables = [table for table in tables if plan.chosen.has(table.collection)]
        set_to = sequences.restore(connection, plan.history.sequence_values(plan.cut.number))
        report.sequences = {name: value.last_value for name, value in set_to.items()}
        report.left_out = builder.left_out
    with report.timed("comparing definitions", progress):
        wrong = build.differences(connection, plan.chosen.definitions(plan.schema.definitions))
        if wrong:
            raise ProofError(
                "The schema that was built isn't the one that the DDL log describes:\n  "
                + "\n  ".join(wrong[:10]),
                next_step="restore to a moment just after a logged schema dump; report the DDL between",
            )
        report.definitions_compared = len(plan.chosen.definitions(plan.schema.definitions))
    return tables
