"""`replicator failover`: what people decide, written down with who and why."""

from __future__ import annotations

import getpass
import json
import socket
import time
from typing import Annotated

import typer
from rich.console import Console

from replicator.cli.context import Context
from replicator.errors import RefusedError

app = typer.Typer(
    no_args_is_help=True,
    help="Activate or release a standby by hand, or keep control from doing so. Each request is an event: "
    "the leader answers it, and `replicator events` shows both.",
)

_Destination = Annotated[str, typer.Argument(help="A standby under `destinations:` in replicator.yaml.")]
_Why = Annotated[str, typer.Option("--why", help="The reason, for whoever reads the events later.")]
_Who = Annotated[str | None, typer.Option("--who", help="Who asks; you at this machine by default.")]
_Deadline = Annotated[float, typer.Option(help="Seconds to wait for the leader's answer.", min=1)]
_Json = Annotated[bool, typer.Option("--json", help="The answer as one JSON object.")]


@app.command()
def activate(
    ctx: typer.Context,
    destination: _Destination,
    why: _Why,
    who: _Who = None,
    deadline: _Deadline = 60.0,
    as_json: _Json = False,
) -> None:
    """Have a standby take changes, from where a copy is missing on. Only people, or `resume`, release it."""
    _ask(ctx, "activate", destination, why, who, deadline, as_json)


@app.command()
def release(
    ctx: typer.Context,
    destination: _Destination,
    why: _Why,
    who: _Who = None,
    deadline: _Deadline = 60.0,
    as_json: _Json = False,
) -> None:
    """Have a standby store what it holds and take no more. Only people, or `resume`, bring it back."""
    _ask(ctx, "release", destination, why, who, deadline, as_json)


@app.command()
def pause(
    ctx: typer.Context, why: _Why, who: _Who = None, deadline: _Deadline = 60.0, as_json: _Json = False
) -> None:
    """Keep control from activating or releasing anything; it goes on watching and telling."""
    _ask(ctx, "pause", None, why, who, deadline, as_json)


@app.command()
def resume(
    ctx: typer.Context, why: _Why, who: _Who = None, deadline: _Deadline = 60.0, as_json: _Json = False
) -> None:
    """Let control decide again, also about what was activated or released by hand."""
    _ask(ctx, "resume", None, why, who, deadline, as_json)


def _ask(
    ctx: typer.Context,
    command: str,
    destination: str | None,
    why: str,
    who: str | None,
    deadline_s: float,
    as_json: bool,
) -> None:
    from replicator.control.events import topic
    from replicator.control.events.event import Event, Kind
    from replicator.control.events.log import ControlLog

    context: Context = ctx.obj
    settings = context.load()
    if destination is not None:
        settings.destination(destination)
    author = who or f"{getpass.getuser()}@{socket.gethostname()}"
    asked = Event(Kind.ASKED, int(time.time() * 1000), author, why, destination, command)
    topic.require(settings)
    log = ControlLog(settings, points=False)
    log.catch_up()
    topic.send(settings, asked)
    deadline = time.monotonic() + deadline_s
    answer: Event | None = None
    while answer is None and time.monotonic() < deadline:
        found = log.read(0.5)
        answer = next((each for each in found if isinstance(each, Event) and each.answers == asked.id), None)
    log.close()
    if answer is None:
        raise RefusedError(
            f"No leader answered within {deadline_s:.0f} s. The request stands in the control topic, and a "
            "leader that comes up within ten minutes still takes it up.",
            next_step="start `replicator control`; `replicator events` shows what became of the request",
        )
    if as_json:
        typer.echo(json.dumps(answer.fields()))
    if answer.kind == Kind.REFUSED:
        raise RefusedError(f"{answer.by} refuses: {answer.reason}.")
    if not as_json:
        Console(soft_wrap=True, highlight=False).print(
            f"{answer.kind} {answer.destination or ''} by {answer.by}: {answer.reason}", markup=False
        )
