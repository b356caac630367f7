"""`replicator compare`: whether a database equals the source at an exact point, or two destinations agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from replicator.cli.compare_destinations import compare_destinations
from replicator.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from replicator.compare import Digests, Report

_EXIT_DIFFERENT = IntegrityError.exit_code


def compare(
    ctx: typer.Context,
    destinations: Annotated[
        list[str] | None,
        typer.Argument(metavar="A B", help="Two destinations to compare, instead of databases."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Of two destinations: also read what they cut differently.")
    ] = False,
    target: Annotated[str | None, typer.Option(help="The restored database, as a DSN.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Record the source at a point of now, for a comparison later.")
    ] = None,
    held: Annotated[Path | None, typer.Option(help="Compare with what --save recorded.")] = None,
    at_lsn: Annotated[
        str | None, typer.Option(help="Refuse unless the source's side is of exactly this LSN.")
    ] = None,
    rows: Annotated[int, typer.Option(help="How many differing rows to name in each table.")] = 10,
    deadline: Annotated[float, typer.Option(help="Seconds to wait for older transactions.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Compare a database with the source, or two destinations with each other.

    **Two destinations**: `replicator compare A B` tells the ranges that only one of them holds. Segments of
    one name are equal by their hash; --deep compares the records of those that were cut differently.

    **A database**: every row, every definition, every sequence.
    The source goes on working, so a restored database can only equal it as of one point of its log:

    1. `replicator compare --save point.json` records the source at such a point and prints its LSN,

    2. `replicator restore --to-lsn LSN --target DSN` restores to it,

    3. `replicator compare --held point.json --target DSN` compares.

    Without --held the point is now, which fits a source at rest; then differing rows are named by key and
    column. Exit status 0: equal; 5: different.
    """
    if destinations:
        if target is not None or save is not None or held is not None or at_lsn is not None:
            raise ConfigError("Two destinations are compared, or a database with its source; not both.")
        if len(destinations) != 2 or destinations[0] == destinations[1]:
            raise ConfigError("compare takes the names of two different destinations, or none.")
        compare_destinations(ctx.obj.load(), *destinations, deep=deep, as_json=as_json)
        return
    if deep:
        raise ConfigError("--deep is for two destinations; a database is always compared row by row.")
    from replicator.compare import capture, record
    from replicator.compare import compare as compare_digests
    from replicator.restore.target.database import check_result

    if save is not None and (target is not None or held is not None):
        raise ConfigError("--save only records the source; compare in a call of its own, with --held.")
    if save is None and target is None:
        raise ConfigError(
            "Nothing to do: name two destinations, give --target DSN to compare a database, or --save FILE "
            "to record a point."
        )
    config = ctx.obj.load()
    schemas = config.source.schemas
    if save is not None:
        _save(config.source.dsn.get_secret_value(), save, schemas, deadline)
        return
    assert target is not None
    check_result(target)
    if held is not None:
        point = record.load(held)
        _check_lsn(point.lsn, at_lsn)
        _show(compare_digests(point.digests, capture(target, schemas=schemas)), point.lsn, [], as_json)
        return
    _now(config.source.dsn.get_secret_value(), target, schemas, at_lsn, rows, deadline, as_json)


def _save(source: str, path: Path, schemas: list[str], deadline: float) -> None:
    from replicator.compare import capture_within, hold, record

    with hold(source, deadline_s=deadline) as point:
        digests = capture_within(point.connection, schemas=schemas)
    record.Record(point.lsn, point.time, digests).save(path)
    typer.echo(f"{point.lsn}")
    typer.echo(
        f"{path}: {len(digests.tables)} tables, {digests.rows} rows as of {point.lsn} "
        f"({point.time.isoformat()})",
        err=True,
    )


def _now(
    source: str,
    target: str,
    schemas: list[str],
    at_lsn: str | None,
    rows: int,
    deadline: float,
    as_json: bool,
) -> None:
    from replicator.compare import capture, capture_within, hold, row_differences, session
    from replicator.compare import compare as compare_digests

    with hold(source, deadline_s=deadline) as point:
        _check_lsn(point.lsn, at_lsn)
        ours: Digests = capture_within(point.connection, schemas=schemas)
        with session.connect(target, "target") as connection:
            session.begin(connection, None)
            report = compare_digests(ours, capture(target, schemas=schemas))
            named = [
                str(difference)
                for table in report.different_tables
                if table.source_rows is not None and table.target_rows is not None
                for difference in row_differences(
                    point.connection, connection, ours.tables[table.name].table, rows
                )
            ]
    _show(report, point.lsn, named, as_json)


def _check_lsn(lsn: str, wanted: str | None) -> None:
    if wanted is not None and lsn != wanted:
        raise ConfigError(
            f"The source's side is of {lsn}, not of {wanted}; different moments aren't compared.",
            next_step="restore --to-lsn " + lsn + ", or take the record of the restored LSN with --held",
        )


def _show(report: Report, lsn: str, named: list[str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"lsn": lsn, **report.as_dict(), "row_differences": named}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True, markup=False)
        for line in (*report.lines(), *named):
            console.print(line)
        if report.unlogged:
            console.print(f"not compared, unlogged: {', '.join(report.unlogged)}")
        verdict = "equal" if report.equal else "DIFFERENT"
        console.print(f"{verdict}: {len(report.tables)} tables, {report.rows} rows as of {lsn}")
    if not report.equal:
        raise typer.Exit(_EXIT_DIFFERENT)
