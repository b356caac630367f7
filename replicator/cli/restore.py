"""`replicator restore`: the database as it was at a moment, into an empty one."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replicator.cli.bars import TableBars
from replicator.cli.restore_words import print_plan, print_report
from replicator.errors import ConfigError, ReplicatorError

if TYPE_CHECKING:
    from replicator.cli.context import Context
    from replicator.config import Config
    from replicator.restore.moment.cut import Target
    from replicator.restore.opening import Limits
    from replicator.restore.report import Report
    from replicator.restore.selection import Selection


class FileFormat(Enum):
    """What --to-files writes."""

    PARQUET = "parquet"
    AVRO = "avro"


class Engine(Enum):
    """What folds the rows."""

    LOCAL = "local"
    DATAFUSION = "datafusion"
    SPARK = "spark"


def restore(
    ctx: typer.Context,
    to_time: Annotated[
        str | None, typer.Option(help="Every commit up to this time, e.g. 2026-11-22T18:30:00+01:00.")
    ] = None,
    to_lsn: Annotated[str | None, typer.Option(help="Every commit that ends at or before this LSN.")] = None,
    to_xid: Annotated[int | None, typer.Option(help="Every commit up to this transaction, included.")] = None,
    to_mark: Annotated[
        str | None, typer.Option(help="Up to what `SELECT replicator.mark('…')` named, included.")
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", help="As far as the destination is complete.")] = False,
    tables: Annotated[
        list[str] | None, typer.Option(help="Only these tables, with commas between them.")
    ] = None,
    schemas: Annotated[
        list[str] | None, typer.Option(help="Only the tables of these schemas, with commas between them.")
    ] = None,
    where_wedding: Annotated[
        list[str] | None,
        typer.Option(help="Only the rows of the wedding with this id; again for more."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(envvar="REPLICATOR_RESTORE_TARGET", help="The empty database to fill, as a DSN."),
    ] = None,
    to_files: Annotated[
        Path | None,
        typer.Option(help="Instead of a database: a directory to make, with a file of each table's rows."),
    ] = None,
    to_kafka: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Instead of a database: topics PREFIX.schema.table with a record of each row, all of them "
            "committed at once. The brokers: restore.kafka, or kafka.",
        ),
    ] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Of these files.")] = FileFormat.PARQUET,
    as_text: Annotated[
        list[str] | None,
        typer.Option(help="schema.table.column: PostgreSQL's text in files and topics; again for more."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A destination to read; again for more, the best first. Default: all."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done and whether it can be; touch no target.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
    force_clean: Annotated[
        bool, typer.Option("--force-clean", help="Remove EVERYTHING that is in the target first.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="Connections to the target.")] = 2,
    memory_mb: Annotated[int, typer.Option(min=64, help="For folding; beyond it, the disk is used.")] = 512,
    scratch: Annotated[Path | None, typer.Option(help="Where segments are put while they are read.")] = None,
    engine: Annotated[
        Engine,
        typer.Option(help="What folds the rows: this machine, or Spark; the result is the same to the byte."),
    ] = Engine.LOCAL,
    spark_master: Annotated[
        str | None,
        typer.Option(help="Of --engine spark: local[2], spark://…, yarn. Default: as Spark is configured."),
    ] = None,
    no_base: Annotated[
        bool, typer.Option("--no-base", help="Begin with the initial snapshot, though there are bases.")
    ] = False,
    analyze: Annotated[
        bool,
        typer.Option(
            "--analyze", help="End with the planner's statistics, instead of leaving them to autovacuum."
        ),
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="Write the certificate there: what was restored from which objects, for "
            "`check-certificate`. The target keeps it too."
        ),
    ] = None,
    digests: Annotated[
        bool, typer.Option("--digests", help="Have a digest of each table's rows in the certificate.")
    ] = False,
) -> None:
    """Rebuild the database as of a moment, with the schema of then, and prove that nothing is missing.

    Of several destinations the first is read, and the others where it has holes, is damaged or fails.

    What can't be restored exactly is refused, with the nearest moment that can; never approximated. While it
    runs, and after a failure, the target says in `replicator_restore.state` that it must not be used.
    """
    # What is listed and read lives to the end, in objects by the hundred thousand, without cycles.
    gc.set_threshold(100_000)
    from replicator.restore import opening, service
    from replicator.restore.moment import cut

    wanted = cut.parse(to_time, to_lsn, to_xid, latest, to_mark)
    context: Context = ctx.obj
    config = context.load()
    destinations = sources or list(config.destinations)
    selection = _selection(config, tables, schemas, where_wedding)
    limits = opening.Limits(
        memory_mb * 2**20,
        jobs,
        scratch,
        analyze=analyze,
        digests=digests,
        use_bases=not no_base,
        engine=engine.value,
        spark_master=spark_master,
    )
    if plan:
        made = service.plan(config, destinations, wanted, limits, selection)
        typer.echo(json.dumps(made.as_json(), indent=2)) if as_json else print_plan(made)
        return
    if sum(each is not None for each in (target, to_files, to_kafka)) != 1:
        raise ConfigError(
            "Name one of --target, the DSN of the empty database to fill, --to-files and --to-kafka.",
            next_step="create one (`createdb weddings_restored`) and name it, or look first with --plan",
        )
    if certificate is not None and (target is None or not certificate.parent.is_dir()):
        why = "files and topics have a manifest instead" if target is None else "there is no such directory"
        raise ConfigError(f"--certificate {certificate}: {why}; nothing was restored.")
    _check_engine(engine, spark_master, target)
    with TableBars() as bars:
        if to_kafka is not None:
            from replicator.restore.export import to_kafka as topics

            report = topics.write(
                config,
                destinations,
                wanted,
                to_kafka,
                selection=selection,
                as_text=as_text or (),
                limits=limits,
                progress=bars,
            )
        elif target is None:
            report = _to_files(
                config, destinations, wanted, to_files, file_format, selection, as_text, limits, bars
            )
        else:
            report = service.run(
                config,
                destinations,
                wanted,
                target,
                force_clean=force_clean,
                selection=selection,
                limits=limits,
                progress=bars,
            )
    if certificate is not None and report.certificate is not None:
        from replicator.certificate import encode

        try:
            certificate.write_text(encode(report.certificate) + "\n", encoding="utf-8")
        except OSError as error:
            raise ReplicatorError(
                f"The restore is complete, and its certificate can't be written: {error}.",
                next_step="it is in the target: SELECT certificate FROM replicator_restore.state",
            ) from None
    typer.echo(json.dumps(report.as_json(), indent=2)) if as_json else print_report(report)


def _check_engine(engine: Engine, spark_master: str | None, target: str | None) -> None:
    if spark_master is not None and engine is not Engine.SPARK:
        raise ConfigError("--spark-master is of --engine spark alone; nothing was restored.")
    if target is None and engine is not Engine.LOCAL:
        raise ConfigError(
            f"--engine {engine.value} fills a database; files and topics are written by this machine alone.",
            next_step="leave --engine away, or name a --target",
        )


def _to_files(
    config: Config,
    destinations: Sequence[str],
    wanted: Target,
    directory: Path | None,
    file_format: FileFormat,
    selection: Selection,
    as_text: Sequence[str] | None,
    limits: Limits,
    bars: TableBars,
) -> Report:
    from replicator.restore.export import files

    assert directory is not None  # one of the two is there
    return files.write(
        config,
        destinations,
        wanted,
        directory,
        "avro" if file_format is FileFormat.AVRO else "parquet",
        selection=selection,
        as_text=as_text or (),
        limits=limits,
        progress=bars,
    )


def _selection(
    config: Config, tables: list[str] | None, schemas: list[str] | None, owners: list[str] | None
) -> Selection:
    from replicator.restore.selection import Owner, Selection

    def parts(options: list[str] | None) -> tuple[str, ...]:
        return tuple(part.strip() for option in options or () for part in option.split(",") if part.strip())

    by = config.restore
    owner = Owner(by.root_table, by.root_column, tuple(owners)) if owners else None
    return Selection(parts(tables), parts(schemas), owner)
