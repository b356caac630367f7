"""What `replicator restore` tells people: of a plan, and of what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from replicator.restore.moment.cut import Cut
    from replicator.restore.moment.promise import Promises
    from replicator.restore.plan import Plan
    from replicator.restore.report import Report
    from replicator.restore.segments.sources import Share


def print_plan(plan: Plan) -> None:
    """What it would read, from where, and what it can't."""
    console = Console(highlight=False)
    console.print(f"restore of [bold]{plan.installation}[/bold] from {plan.destination} to {plan.target}")
    console.print(f"  ends after {plan.cut}")
    stored = len(plan.history.commits)
    console.print(f"  {plan.cut.number:,} of {stored:,} stored transactions after the snapshot")
    if plan.base is not None:
        console.print(f"  begins with the {plan.base}")
    commands = len(plan.schema.commands)
    console.print(f"  schema: dump {plan.schema.dump_id} of the DDL log and {commands} statements after it")
    for command in plan.schema.commands:
        console.print("    " + " ".join(command.statement.split())[:160], markup=False)
    grid = Table("table", "segments", "MiB", "records at most", "of the snapshot", box=None)
    for table in plan.tables:
        grid.add_row(
            table.collection,
            f"{len(table.pieces):,}",
            f"{table.size / 2**20:,.1f}",
            f"{table.records:,}",
            f"{plan.history.snapshot.scanned.get(table.collection, 0):,}",
        )
    console.print(grid)
    if not plan.chosen.everything:
        console.print("  a part of the database:")
        for name, role in sorted(plan.chosen.roles.items()):
            console.print(f"    {name}: {role.value}", markup=False)
        _print_left_out(console, plan.chosen.left_out, map(str, plan.chosen.cut_keys))
    _print_promises(console, plan.promises, plan.cut)
    _print_sources(console, plan.sources, plan.replaced)
    _print_not_captured(console, plan.not_captured)


def print_report(report: Report) -> None:
    """What is there now, how that is known, and what isn't."""
    console = Console(highlight=False)
    console.print(f"[green]complete[/green]: {report.installation} as of {report.cut}")
    events = sum(table.events for table in report.tables)
    console.print(
        f"  {report.rows:,} rows in {len(report.tables)} tables; {report.transactions:,} transactions and "
        f"{events:,} "
        f"events counted, none missing, none too many; {report.seconds:.1f} s"
    )
    if report.base is not None:
        console.print(f"  began with the base {report.base}, whose counts and hashes agree with its manifest")
    if report.selection is not None:
        _print_left_out(console, report.selection["left_out"], report.went_with_tables)
    _print_promises(console, report.promises, report.cut)
    _print_sources(console, report.sources, report.replaced)
    for statement in report.left_out:
        console.print(f"  left out, its role isn't on this server: {statement}", markup=False)
    for each in report.unproven:
        console.print(
            f"  not proven by counting: {each['table']}.{each['column']}: {each['why']}", markup=False
        )
    _print_not_captured(console, report.not_captured)


def _print_left_out(console: Console, tables: Sequence[str], more: Iterable[str]) -> None:
    if tables:
        console.print(f"  left out, as if it had never been there: {', '.join(tables)}", markup=False)
    for words in more:
        console.print(f"    and with it: {words}", markup=False)


def _print_promises(console: Console, promises: Promises, cut: Cut) -> None:
    if promises.newest is not None:
        console.print(f"  {promises.newest.told(cut)}", markup=False)
    for words in promises.warnings:
        console.print(f"  WARNING: {words}", style="bold red", markup=False)


def _print_sources(console: Console, sources: Mapping[str, Share], replaced: Sequence[str]) -> None:
    """What comes from where; one source that failed in nothing needs no words."""
    if len(sources) > 1:
        for name, share in sources.items():
            console.print(f"  from {name}: {share.segments:,} segments, {share.bytes / 2**20:,.1f} MiB")
            if share.failed is not None:
                console.print(f"  [yellow]{name} was left out[/yellow]:", end=" ")
                console.print(share.failed, markup=False)
    for line in replaced:
        console.print(f"  not as planned: {line}", markup=False)


def _print_not_captured(console: Console, tables: tuple[str, ...] | list[str]) -> None:
    for table in tables:
        console.print(
            f"  [yellow]not captured[/yellow]: {table} is made, its rows are not in any destination"
        )
