"""`replicator points`: what moments can be restored; restore points, checked; and keys to sign them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from replicator.cli.context import Context
from replicator.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from replicator.restore.possible import Possible

app = typer.Typer(
    invoke_without_command=True,
    help="What moments can be restored; and restore points: up to where a destination has everything.",
)
_SHOWN = 10


@app.callback()
def points(
    ctx: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A destination to look at; again for more. Default: each one."),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="What they can do together, as a restore from all reads them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a destination.")] = False,
) -> None:
    """Show what moments each destination can be restored to: oldest, newest, marks, and what is missing.

    Ends with 4 when one of them can't be restored at all.
    """
    if ctx.invoked_subcommand is not None:
        return
    from replicator.errors import RefusedError
    from replicator.restore import possible

    context: Context = ctx.obj
    config = context.load()
    names = sources or list(config.destinations)
    console = Console(soft_wrap=True, highlight=False)
    none = []
    for each in [names] if together and names else [[name] for name in names]:
        found = possible.read(config, each)
        if found.oldest is None:
            none.append(found.destination)
        typer.echo(json.dumps(found.as_json())) if as_json else _print_possible(console, found)
    if none:
        raise RefusedError(
            f"{', '.join(none)}: nothing can be restored from there.",
            next_step="restore from another destination; `replicator verify` tells what is missing",
        )


def _print_possible(console: Console, found: Possible) -> None:
    console.print(f"[bold]{found.destination}[/bold]")
    if found.oldest is None or found.newest is None:
        console.print("  [red]nothing can be restored[/red]:", end=" ")
        console.print(found.refused, markup=False)
    else:
        console.print(f"  from  {found.oldest}", markup=False)
        behind = found.stored - found.transactions
        more = f" ({behind:,} later transactions lack rows)" if behind else ""
        console.print(f"  to    {found.newest}{more}", markup=False)
        but = ", but for these:" if found.refusals else ""
        console.print(f"  {found.transactions:,} transactions, each of which can be the last one{but}")
    for gap in found.refusals[:_SHOWN]:
        console.print(f"  [yellow]refused[/yellow] from {gap.first}", highlight=False)
        console.print(f"            up to {gap.last}")
        console.print(f"            {gap.why}", markup=False)
    if len(found.refusals) > _SHOWN:
        console.print(f"  and {len(found.refusals) - _SHOWN} more such stretches (--json lists all)")
    if found.refused_newest is not None:
        console.print("  [yellow]--latest would be refused[/yellow]:", end=" ")
        console.print(found.refused_newest, markup=False)
    if found.point is not None:
        console.print(f"  newest genuine {found.point}", markup=False)
    for mark in reversed(found.marks[-_SHOWN:]):
        console.print(f"  mark {mark}", markup=False)
    if len(found.marks) > _SHOWN:
        console.print(f"  and {len(found.marks) - _SHOWN} older marks (--json lists all)")
    for hole in found.holes[:_SHOWN]:
        console.print(f"  [yellow]hole[/yellow]: {hole}")
    if len(found.holes) > _SHOWN:
        console.print(f"  and {len(found.holes) - _SHOWN} more holes")


@app.command("list")
def list_points(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="A name under `destinations:` in replicator.yaml.")],
    last: Annotated[int, typer.Option(help="So many, the newest ones.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List a destination's restore points, each checked: its signature, its name, its place.

    Ends with 5 when one of them isn't believed.
    """
    from collections import deque

    from replicator.points import ForgedPointError, Keys, stored
    from replicator.storage import open_store

    context: Context = ctx.obj
    settings = context.load()
    store = open_store(settings.destination(destination))
    keys = Keys(settings.control)
    table = Table("committed", "LSN", "verdict", box=None)
    forged = 0
    for key in deque(stored.names(store), last):
        try:
            point = stored.read(store, key, keys, destination)
        except ForgedPointError as error:
            forged += 1
            if as_json:
                typer.echo(json.dumps({"key": key, "believed": False, "why": error.message}))
            else:
                table.add_row(key, "", f"[red]refused[/]: {error.message}")
            continue
        lsn = f"{point.lsn >> 32:X}/{point.lsn & 0xFFFFFFFF:X}"
        moment = datetime.fromtimestamp(point.committed_ms / 1000, UTC)
        if as_json:
            fields = {"key": key, "believed": True, "lsn": lsn, "xid": point.xid}
            typer.echo(json.dumps({**fields, "committed": moment.isoformat()}))
        else:
            table.add_row(f"{moment:%Y-%m-%d %H:%M:%S} UTC", lsn, "[green]believed[/]")
    if not as_json:
        Console(soft_wrap=True, highlight=False).print(table)
    if forged:
        raise IntegrityError(
            f"{forged} restore points of {destination} aren't believed; what they name may be wrong, the "
            "segments are not affected.",
            next_step="find out who can write below v1/points/ there",
        )


@app.command("new-key")
def new_key(
    path: Annotated[Path, typer.Argument(help="Where to write the private key; the file must not exist.")],
) -> None:
    """Make an Ed25519 key that signs restore points, and print its public half for those who only check."""
    from replicator.points import new_key as make
    from replicator.points import public_pem

    pem = make()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(pem)
    except FileExistsError:
        raise ConfigError(f"{path} is there already and was left as it is.") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None
    typer.echo(public_pem(pem), nl=False)
