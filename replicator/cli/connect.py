"""`replicator connect`: the Debezium connector in Kafka Connect."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from replicator.source.difference import Change

app = typer.Typer(no_args_is_help=True, help="The Debezium connector in Kafka Connect.")

_Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
_Deadline = Annotated[float, typer.Option(help="Seconds until the tasks must run.")]


@app.command()
def apply(
    ctx: typer.Context,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Change a running connector without asking.")
    ] = False,
    deadline: _Deadline = 90.0,
) -> None:
    """Create the connector or change it, and wait until its tasks run."""
    from replicator.source.registration import Registration

    registration = Registration.open(ctx.obj.load())
    changes = registration.changes()
    if registration.running is not None:
        if not changes:
            typer.echo(f"{registration.name}: as it should be")
        else:
            _print(changes)
            if not yes:
                if not sys.stdin.isatty():
                    typer.echo("A running connector is changed only with --yes where nobody can be asked.")
                    raise typer.Exit(2)
                typer.confirm(f"Change the running connector {registration.name}?", abort=True)
    registration.apply()
    typer.echo(f"{registration.name}: {registration.wait(deadline)}")


@app.command()
def diff(ctx: typer.Context, as_json: _Json = False) -> None:
    """Show what `apply` would change; secrets are masked. Exit status 1 when there is a difference."""
    from replicator.source.registration import Registration

    changes = Registration.open(ctx.obj.load()).changes()
    if as_json:
        typer.echo(
            json.dumps([{"setting": c.setting, "old": c.old, "new": c.new} for c in changes], indent=2)
        )
    else:
        _print(changes)
    if changes:
        raise typer.Exit(1)


@app.command()
def status(ctx: typer.Context, as_json: _Json = False) -> None:
    """Show the states of the connector and its tasks; exit status 3 unless all of it runs."""
    from replicator.source.connect_api import Connect
    from replicator.source.connector import connector_name
    from replicator.source.running import shortened, state

    config = ctx.obj.load()
    found = state(Connect.of(config).status(connector_name(config)))
    if as_json:
        typer.echo(json.dumps({"connector": found.connector, "tasks": found.tasks, "trace": found.trace}))
    else:
        typer.echo(f"{connector_name(config)}: {found}")
        if found.trace:
            typer.echo(shortened(found.trace))
    if not found.runs:
        raise typer.Exit(3)


@app.command()
def check(ctx: typer.Context, as_json: _Json = False) -> None:
    """Have Connect and the connector validate the configuration, and look for drift; changes nothing."""
    from replicator.source.registration import Registration

    problems = Registration.open(ctx.obj.load()).problems()
    if as_json:
        typer.echo(json.dumps(problems, indent=2))
    else:
        for problem in problems:
            typer.echo(problem)
        if not problems:
            typer.echo("nothing to object to")
    if problems:
        raise typer.Exit(3)


@app.command()
def pause(ctx: typer.Context) -> None:
    """Stop capturing for a while; the slot keeps the changes, and so WAL grows."""
    from replicator.source.registration import Registration

    Registration.named(ctx.obj.load()).pause()
    typer.echo("paused; the slot pins WAL until `replicator connect resume`")


@app.command()
def resume(ctx: typer.Context, deadline: _Deadline = 90.0) -> None:
    """Go on after a pause."""
    from replicator.source.registration import Registration

    registration = Registration.named(ctx.obj.load())
    registration.connect.resume(registration.name)
    typer.echo(f"{registration.name}: {registration.wait(deadline, current=False)}")


@app.command()
def restart(ctx: typer.Context, deadline: _Deadline = 90.0) -> None:
    """Restart the connector and its tasks."""
    from replicator.source.registration import Registration

    registration = Registration.named(ctx.obj.load())
    registration.connect.restart(registration.name)
    typer.echo(f"{registration.name}: {registration.wait(deadline, current=False)}")


@app.command()
def watch(
    ctx: typer.Context,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
) -> None:
    """Restart the connector whenever it fails, ever less often; Connect itself never does. Ends on SIGTERM.

    It never restarts over a hole: when the slot has lost changes it ends with exit status 3.
    """
    from replicator.source.watching import watch as keep

    keep(ctx.obj.load(), interval)


@app.command()
def remove(
    ctx: typer.Context,
    purge: Annotated[bool, typer.Option(help="Also drop the slot and the publication.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete the connector, and say what stays behind."""
    from replicator.source.registration import Registration

    registration = Registration.named(ctx.obj.load())
    if not yes:
        typer.confirm(f"Delete the connector {registration.name}?", abort=True)
    for line in registration.remove(purge=purge):
        typer.echo(line)


def _print(changes: list[Change]) -> None:
    if not changes:
        typer.echo("no difference")
        return
    table = Table("setting", "running", "wanted")
    for change in changes:
        table.add_row(change.setting, change.old or "", "(removed)" if change.new is None else change.new)
    Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(table, markup=False)
