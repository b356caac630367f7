"""`replicator control`: restore points, health and failover."""

from __future__ import annotations

import typer

from replicator.cli.context import Context


def control(ctx: typer.Context) -> None:
    """Watch all destinations, publish restore points, and activate standbys when copies are missing.

    Start two or more, on different machines: one leads, the others stand by and take over within seconds.
    What it decides stands in the topic `replicator.{installation}.control`; `replicator events` shows it.
    """
    from replicator.control import service

    context: Context = ctx.obj
    service.run(context.load())
