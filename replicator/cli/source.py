"""`replicator source`: our schema in the captured database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Our schema in the captured database: heartbeat, DDL log, sequence log, publication.",
)

_PgDump = Annotated[
    Path | None,
    typer.Option(help="pg_dump of the server's version or newer; source.pg_dump or PATH by default."),
]


@app.command()
def install(
    ctx: typer.Context,
    pg_dump: _PgDump = None,
    deadline: Annotated[float, typer.Option(help="Seconds to wait for older transactions and locks.")] = 60.0,
) -> None:
    """Put our schema, event triggers and publication in place; can be run again at any time."""
    from replicator.source import install as installation

    installation.install(ctx.obj.load(), typer.echo, pg_dump=pg_dump, deadline_s=deadline)


@app.command()
def status(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Say what is installed, and what of it isn't as it should be; exit status 3 when something isn't."""
    from replicator.source.state import read

    state = read(ctx.obj.load())
    if as_json:
        typer.echo(json.dumps(state.as_dict(), indent=2))
    else:
        for line in state.lines():
            typer.echo(line)
    if state.problems:
        raise typer.Exit(3)


@app.command()
def dump(
    ctx: typer.Context,
    pg_dump: _PgDump = None,
    force: Annotated[bool, typer.Option(help="Also when no DDL ran since the newest dump.")] = False,
) -> None:
    """Log a fresh dump of the schema if DDL ran since the newest one; restores then start from it."""
    from replicator.source import dump as schema_dump
    from replicator.source.database import connect

    config = ctx.obj.load()
    dsn = config.source.dsn.get_secret_value()
    with connect(dsn) as connection:
        due = force or schema_dump.is_due(connection)
    if due:
        row = schema_dump.take(dsn, pg_dump or config.source.pg_dump)
        typer.echo(f"schema dump: logged as row {row} of replicator.ddl_log")
    else:
        typer.echo("schema dump: no DDL since the newest one")


@app.command()
def uninstall(
    ctx: typer.Context, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False
) -> None:
    """Remove our schema, event triggers and publication; replica identities become what they were."""
    from replicator.source import install as installation

    config = ctx.obj.load()
    if not yes:
        typer.confirm(
            "The DDL log and the sequence log go; what is in Kafka and the buckets stays. Remove?",
            abort=True,
        )
    installation.uninstall(config, typer.echo)
