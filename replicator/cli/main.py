"""The `replicator` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from replicator import __version__
from replicator.cli import compare, connect, context, dlq, failover, points, source
from replicator.cli.certificate import check_certificate
from replicator.cli.compact import compact
from replicator.cli.control import control
from replicator.cli.doctor import doctor
from replicator.cli.drill import drill
from replicator.cli.events import events
from replicator.cli.init import init
from replicator.cli.notify import notify
from replicator.cli.repair import repair
from replicator.cli.replay import replay
from replicator.cli.restore import restore
from replicator.cli.retention import retention
from replicator.cli.rollup import rollup
from replicator.cli.run import run as run_roles
from replicator.cli.sink import sink
from replicator.cli.status import status
from replicator.cli.verify import verify
from replicator.errors import ReplicatorError
from replicator.supervisor.parent import follow_parent

app = typer.Typer(
    name="replicator",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Streams every committed change of a PostgreSQL database into object stores, "
    "and gives the database back as it was at any moment, proven.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"replicator {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="REPLICATOR_CONFIG",
            help="The configuration; ./replicator.yaml by default.",
        ),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="auto, console or json.")] = "auto",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that every command takes."""
    ctx.obj = context.start(config, log_level, log_format)


app.command()(init)
app.command("run")(run_roles)
app.command()(sink)
app.command()(control)
app.command()(notify)
app.add_typer(failover.app, name="failover")
app.command()(events)
app.command()(status)
app.add_typer(points.app, name="points")
app.command()(restore)
app.command()(check_certificate)
app.command()(compact)
app.command()(drill)
app.command()(retention)
app.command()(rollup)
app.add_typer(source.app, name="source")
app.add_typer(connect.app, name="connect")
app.command()(doctor)
app.command()(compare.compare)
app.command()(verify)
app.command()(repair)
app.add_typer(dlq.app, name="dlq")
app.command()(replay)


def run() -> None:
    """Run the command line; an error that people can act on is printed without a traceback."""
    follow_parent()
    try:
        app(prog_name="replicator")
    except ReplicatorError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("error:", style="bold red", end=" ")
        console.print(str(error), markup=False)
        sys.exit(error.exit_code)
