"""`replicator sink`: stream a destination's changes into it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from replicator.cli.context import Context


def sink(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(help="A name under `destinations:` in replicator.yaml.")],
    once: Annotated[
        bool,
        typer.Option("--once", help="End when everything that Kafka holds now is durable and committed."),
    ] = False,
    accept_unproven_values: Annotated[
        bool,
        typer.Option(
            "--accept-unproven-values",
            help="Begin though no canary has proven that this connector keeps values as they are. A NULL in "
            "a column with a DEFAULT may then be stored as the default, and nobody can tell later.",
        ),
    ] = False,
) -> None:
    """Store every committed change in DESTINATION, durably before Kafka is told.

    Start it as often as you like, on as many machines as you like: the instances share the partitions.
    It ends on SIGTERM, having stored and committed what it held. The sink of a standby waits until control
    activates it, and waits again when it was released.
    """
    from replicator.control.duty import duty_of
    from replicator.source import proof
    from replicator.writer import service

    context: Context = ctx.obj
    settings = context.load()
    settings.destination(destination)
    if not accept_unproven_values:
        proof.passed(settings)
    if service.run(settings, destination, once=once, duty=duty_of(settings, destination)):
        # Released: the same process begins anew and waits, with nothing left of what it was.
        os.execv(sys.executable, [sys.executable, "-m", "replicator", *sys.argv[1:]])
