"""`replicator retention`: remove what no promise needs any longer; by default only say what that is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from replicator.errors import IntegrityError

if TYPE_CHECKING:
    from replicator.cli.context import Context
    from replicator.retention.service import Report

_TOLD = 10


def retention(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="The destination to look at.")],
    apply: Annotated[bool, typer.Option("--apply", help="Remove it. Without, nothing is touched.")] = False,
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="Instead of retention.keep_days of the configuration.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Say, or with --apply remove, what no restore within the retention needs any longer.

    History is kept from the newest base on that is at least `retention.keep_days` old: with it every later
    moment can be restored. What it stands for goes, older bases, and what ended compactions left. Never goes
    the last base, anything that a kept base needs, or what is under object lock. It may be ended at any time;
    called again, it goes on.

    Exit status 5: the store didn't let everything go, or the base isn't whole and nothing was removed.
    """
    from replicator.cli.bars import SegmentBar
    from replicator.retention import service

    context: Context = ctx.obj
    config = context.load()
    with SegmentBar("removing", by_size=True) as bars:
        report = service.run(config, destination, apply=apply, keep_days=keep_days, progress=bars)
    typer.echo(json.dumps(report.as_json(), indent=2)) if as_json else _print(report)
    if report.kept:
        raise typer.Exit(IntegrityError.exit_code)


def _print(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    plan = report.plan
    for words in report.warnings:
        console.print(f"WARNING: {words}", style="bold red", markup=False)
    if plan.floor is None:
        console.print(
            f"no base is {report.keep_days:g} days old or older: history stays whole from the snapshot on "
            "(`replicator compact` makes bases)"
        )
    else:
        console.print(f"history begins with the {plan.floor}; earlier moments can't be restored from here")
    for base in plan.bases:
        console.print(f"  the base {base}")
    for group in plan.groups:
        console.print(f"  {len(group.keys):,} objects, {group.bytes / 2**20:,.1f} MiB: {group.what}")
    if plan.locked:
        console.print(f"  {plan.locked:,} objects stay: under lock, the last until {plan.locked_until}")
    for line in report.kept[:_TOLD]:
        console.print(f"  not removed: {line}", markup=False)
    if not plan.objects:
        console.print("nothing to remove")
    elif report.applied:
        console.print(f"[green]removed[/green] {report.removed:,} objects in {report.seconds:.1f} s")
    else:
        console.print(
            f"{plan.objects:,} objects, {plan.size / 2**20:,.1f} MiB would go: --apply removes them"
        )
