"""`replicator compact`: a destination's chains folded into a base, with which restores then begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from replicator.cli.context import Context
    from replicator.compact.report import Report


def compact(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="The destination to make the base in.")],
    to_time: Annotated[str | None, typer.Option(help="The base's cut, as for a restore.")] = None,
    to_lsn: Annotated[str | None, typer.Option(help="The base's cut, as for a restore.")] = None,
    to_xid: Annotated[int | None, typer.Option(help="The base's cut, as for a restore.")] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say where the base would be and what would be read; store nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
    memory_mb: Annotated[int, typer.Option(min=64, help="For folding; beyond it, more passes.")] = 512,
    scratch: Annotated[Path | None, typer.Option(help="Where segments are put while they are read.")] = None,
    no_base: Annotated[
        bool, typer.Option("--no-base", help="Fold the whole history again, though there are bases.")
    ] = False,
) -> None:
    """Fold what a destination holds into a base: of each table the rows of one moment, the latest by default.

    A base is proven like a restore before it counts: all events and rows of the snapshot are counted, and
    what was stored is read back and compared with what the chains come to. Restores to later moments begin
    with the newest base, so their time doesn't grow with the history; nothing is removed. It goes on from the
    base before, so it costs what happened since; run it daily, say. It may be ended at any time: what it
    leaves isn't a base.
    """
    from replicator.cli.bars import TableBars
    from replicator.compact import service
    from replicator.restore.moment import cut
    from replicator.restore.opening import Limits

    latest = to_time is None and to_lsn is None and to_xid is None
    wanted = cut.parse(to_time, to_lsn, to_xid, latest)
    context: Context = ctx.obj
    config = context.load()
    limits = Limits(memory_mb * 2**20, 1, scratch, use_bases=not no_base)
    with TableBars() as bars:
        report = service.run(config, destination, wanted, limits, bars, dry_run=plan)
    typer.echo(json.dumps(report.as_json(), indent=2)) if as_json else _print(report)


def _print(report: Report) -> None:
    console = Console(highlight=False)
    for words in report.warnings:
        console.print(f"WARNING: {words}", style="bold red", markup=False)
    origin = f"the base {report.made_from}" if report.made_from else "the initial snapshot"
    base = report.base
    if base is None:
        console.print(f"a base of {report.destination} would end after {report.cut}")
        console.print(f"  made from {origin} and {report.read / 2**20:,.1f} MiB of segments")
        return
    if not report.made:
        console.print(f"the {base} is there already; nothing was stored")
        return
    console.print(f"[green]proven[/green]: {base} in {report.destination}, made from {origin}")
    grid = Table("table", "records", "events counted", "snapshot rows counted", box=None)
    for table in base.tables:
        numbers = (table.records, table.events, table.snapshot_rows)
        grid.add_row(table.collection, *(f"{number:,}" for number in numbers))
    console.print(grid)
    console.print(
        f"  {report.read / 2**20:,.1f} MiB read, {base.size / 2**20:,.1f} MiB in the base, "
        f"{report.seconds:.1f} s"
    )
    for table_name in report.by_event:
        console.print(
            f"  [yellow]without a key[/yellow]: of {table_name} every event is kept, for rows went that were "
            "written before its columns changed, or for want of memory; a primary key would let it be folded"
        )
