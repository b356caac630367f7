"""`replicator status`: how the installation is, at a glance."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicator.cli.context import Context

if TYPE_CHECKING:
    from replicator.control.status import DestinationStatus, Status

_COLOURS = {"healthy": "green", "degraded": "yellow", "down": "bold red", "unknown": "dim"}


def status(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show who leads, whether the promised copies are kept, and how each destination is, with reasons.

    Ends with 1 when the promise is broken, nobody leads, or an alert is raised.
    """
    from replicator.control import status as control_status

    context: Context = ctx.obj
    found = control_status.read(context.load())
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _show(found, Console(soft_wrap=True, highlight=False))
    if not found.well:
        raise typer.Exit(1)


def _show(found: Status, console: Console) -> None:
    if found.leads:
        console.print(f"control: {found.leader} leads, epoch {found.epoch}", markup=False)
    else:
        console.print(
            "control: nobody leads. Destinations go on as they are; nothing is decided or alerted. Start "
            "`replicator control`.",
            style="bold red",
            markup=False,
        )
    if found.broken_since_ms is None:
        console.print(f"promise: {found.min_copies} copies, kept", markup=False)
    else:
        words = f"promise: BROKEN for {_ago(found.broken_since_ms)}: {found.broken_reason}"
        console.print(words, style="bold red", markup=False)
    if found.paused_by is not None:
        console.print(f"failover: paused by {found.paused_by}", style="yellow", markup=False)
    if found.drill is not None:
        words = f"last drill: {_ago(found.drill['at_ms'])} ago, {found.drill['words']}"
        console.print(words, style="" if found.drill["passed"] else "bold red", markup=False)
    table = Table("destination", "role", "health", "sinks", "lag", "newest restore point", box=None)
    for each in found.destinations:
        table.add_row(
            each.name,
            _role(each),
            Text(each.health, _COLOURS.get(each.health, "")),
            str(each.sinks),
            str(each.lag) if each.on_duty else "",
            "none" if each.point_age_s is None else f"{each.point_lsn}, {_seconds(each.point_age_s)} ago",
        )
    console.print(table)
    for each in found.destinations:
        if each.health not in ("healthy", "unknown"):
            console.print(f"{each.name}: {each.health_reason}", style="yellow", markup=False)
        if each.role == "standby" and each.on_duty:
            console.print(f"{each.name}: active because {each.duty_reason}", markup=False)
            if not each.copied:
                console.print(
                    f"{each.name}: what it lacks of the past isn't copied yet; don't restore from it alone",
                    style="yellow",
                    markup=False,
                )
    for alert in found.alerts:
        about = f" {alert['destination']}" if alert["destination"] else ""
        line = f"alert {alert['name']}{about}, for {_ago(alert['since_ms'])}: {alert['words']}"
        console.print(line, style="red", markup=False)
    for words in found.refused:
        console.print(f"refused record: {words}", style="red", markup=False)


def _role(each: DestinationStatus) -> str:
    if each.role == "active":
        return "active"
    return "standby, on duty" if each.on_duty else "standby"


def _ago(at_ms: int) -> str:
    return _seconds(max(0.0, time.time() - at_ms / 1000))


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
