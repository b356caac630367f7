"""`replicator replay`: close what dead letters keep open."""

from __future__ import annotations

from typing import Annotated

import typer

from replicator.cli.context import Context
from replicator.errors import RefusedError


def replay(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="A name under `destinations:` in replicator.yaml.")],
    once: Annotated[bool, typer.Option("--once", help="One pass over all letters that are open.")] = False,
) -> None:
    """Bring DESTINATION what its dead letters say is missing, again and again.

    Ranges are read from Kafka once more, or copied from another destination where Kafka has them no longer;
    records are stored as soon as their schema can be had. It ends on SIGTERM, and may be killed at any time.
    With --once the exit status is 4 while letters stay open.
    """
    from replicator.control.events.letters import LetterEvents
    from replicator.replay import service

    context: Context = ctx.obj
    settings = context.load()
    settings.destination(destination)
    last = service.run(settings, destination, once=once, listener=LetterEvents(settings))
    if once and last.stuck:
        raise RefusedError(
            f"{len(last.stuck)} letters stay open; {len(last.closed)} were settled.",
            next_step=f"`replicator dlq list {destination}` names them, `dlq show` says why",
        )
