"""`replicator events`: what control found and decided, and what people asked of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from replicator.cli.context import Context

if TYPE_CHECKING:
    from replicator.control.events.event import Event

_COLOURS = {
    "promise_broken": "bold red",
    "promise_kept": "green",
    "activated": "yellow",
    "released": "cyan",
    "alert": "red",
    "alert_over": "green",
    "copy_failed": "red",
    "refused": "red",
    "escalated": "bold red",
    "letters_settled": "green",
}


def events(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    destination: Annotated[str | None, typer.Option(help="Only events about this destination.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only events of this kind; may be repeated.")] = None,
    last: Annotated[int | None, typer.Option(help="Only so many, the newest ones.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show every decision with its reasons, oldest first.

    Records that were forged, foreign or out of order are left out and named at the end, on standard error.
    """
    from replicator.control.events import topic
    from replicator.control.events.event import Event
    from replicator.control.events.log import ControlLog

    context: Context = ctx.obj
    settings = context.load()
    topic.require(settings)
    log = ControlLog(settings)
    console, notes = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True)

    def wanted(event: Event) -> bool:
        return (destination is None or event.destination == destination) and (not kind or event.kind in kind)

    def show(event: Event) -> None:
        if as_json:
            typer.echo(json.dumps(event.fields()))
        else:
            console.print(_line(event))

    told = 0
    try:
        found = [each for each in log.catch_up() if isinstance(each, Event) and wanted(each)]
        for event in found if last is None else found[len(found) - min(last, len(found)) :]:
            show(event)
        while follow:
            for each in log.read(0.5):
                if isinstance(each, Event) and wanted(each):
                    show(each)
            for words in log.refused[told:]:
                notes.print(f"refused: {words}", style="red", markup=False)
            told = len(log.refused)
    except KeyboardInterrupt:
        return
    finally:
        for words in log.refused[told:]:
            notes.print(f"refused: {words}", style="red", markup=False)
        log.close()


def _line(event: Event) -> Text:
    at = datetime.fromtimestamp(event.at_ms / 1000, UTC)
    line = Text(f"{at:%Y-%m-%d %H:%M:%S}  ")
    line.append(f"{event.kind:<15}", style=_COLOURS.get(str(event.kind), "bold"))
    about = " ".join(each for each in (event.destination, event.subject) if each)
    if about:
        line.append(f" {about}", style="bold")
    line.append(f"  {event.reason}")
    line.append(f"  ({event.by})", style="dim")
    return line
