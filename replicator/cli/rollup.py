"""`replicator rollup`: many small segments as a few large ones; by default only say which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from replicator.errors import IntegrityError

if TYPE_CHECKING:
    from replicator.cli.context import Context
    from replicator.rollup.service import Report

_TOLD = 10


def rollup(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="The destination to look at.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Without, nothing is touched.")] = False,
    grace_h: Annotated[
        float | None, typer.Option(min=0, help="Instead of rollup.grace_h of the configuration.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    """Say, or with --apply do: roll adjacent small segments up into large ones with the same records.

    A sink that seals every second leaves tens of thousands of objects a day, each with a header of some
    kilobytes, and a restore asks for each. A large segment is stored and read back, and every small one made
    of it again byte for byte, before it counts; the small ones go in a later call, rollup.grace_h hours
    after, so that nobody who reads them now is disturbed. What is under object lock, younger than an hour,
    or has a story of its own (dead letters) stays as it is. It may be ended at any time.

    Exit status 5: something was left that should have gone.
    """
    from replicator.cli.bars import SegmentBar
    from replicator.rollup import service

    context: Context = ctx.obj
    config = context.load()
    with SegmentBar("rolling up", by_size=True) as bars:
        report = service.run(config, destination, apply=apply, grace_h=grace_h, progress=bars)
    typer.echo(json.dumps(report.as_json(), indent=2)) if as_json else _print(report)
    if report.left:
        raise typer.Exit(IntegrityError.exit_code)


def _print(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    said = report.as_json()
    console.print(f"{report.destination} holds {said['segments']:,} segments")
    if report.applied:
        console.print(
            f"[green]rolled up[/green] {report.rolled:,} into {report.made:,} "
            f"({said['to_roll_up_bytes'] / 2**20:,.1f} MiB into {report.made_bytes / 2**20:,.1f}), removed "
            f"{report.removed:,} that were rolled up before; {report.seconds:.1f} s"
        )
    else:
        console.print(
            f"  {said['to_roll_up']:,} small ones, {said['to_roll_up_bytes'] / 2**20:,.1f} MiB, would be "
            f"rolled up into some {len(report.plan.runs):,}; {said['to_remove']:,} that were rolled up "
            "before would go: --apply does it"
        )
    if report.plan.waiting:
        console.print(f"  {report.plan.waiting:,} go when they are {report.grace_h:g} h behind")
    if report.plan.locked:
        console.print(f"  {report.plan.locked:,} stay: under lock")
    for line in report.left[:_TOLD]:
        console.print(f"  left: {line}", markup=False)
