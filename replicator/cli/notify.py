"""`replicator notify`: tell people what control finds and decides."""

from __future__ import annotations

from typing import Annotated

import typer

from replicator.cli.context import Context


def notify(
    ctx: typer.Context,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test notice to each of notify.urls, and end.")
    ] = False,
) -> None:
    """Follow the control topic and tell the receivers of `notify.urls`, through apprise.

    Start two or more: one tells, the others stand by; how far people were told is kept in Kafka. Of what
    comes and goes they hear once that it is so, not oftener than notify.min_interval_s, and once that it is
    over.
    """
    from replicator.notify import service

    context: Context = ctx.obj
    config = context.load()
    if test:
        for words in service.try_out(config):
            typer.echo(f"{words} took it")
        return
    service.run(config)
