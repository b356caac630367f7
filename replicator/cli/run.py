"""`replicator run`: all roles of one installation as one tree of processes."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from replicator.cli.context import Context
from replicator.errors import ConfigError


def run(
    ctx: typer.Context,
    instances: Annotated[
        list[str] | None,
        typer.Option(
            "--instances",
            metavar="DEST=N",
            help="Sinks of a destination, beyond what run.instances says; may be repeated.",
        ),
    ] = None,
    accept_unproven_values: Annotated[
        bool, typer.Option("--accept-unproven-values", help="Passed on to the sinks; see `replicator sink`.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="On standard output, one JSON object for each start and end of a child."),
    ] = False,
) -> None:
    """Run the whole installation: a sink for each destination, and control.

    A process that ends is started again after a random wait that doubles each time; one whose configuration
    is refused three times running is given up until SIGHUP, and the others go on. SIGTERM has all of them
    store and commit what they hold. When this process is killed, all others are killed with it: nothing is
    lost by that, the next start reads from Kafka what wasn't committed.

    One address serves /metrics and /readyz for all of them. Exit status: 0 when all ended well, 1 when
    something had to be killed, 2 when the configuration lets nothing run.
    """
    from replicator.supervisor.roles import Wishes, roles_of
    from replicator.supervisor.service import Tree

    context: Context = ctx.obj
    config = context.load()
    roles = roles_of(config, Wishes(_numbers(instances or []), accept_unproven_values))
    pump = _Pump(context, max(len(role.name) for role in roles))
    lock = threading.Lock()

    def tell(fields: dict[str, str | int | float]) -> None:
        if as_json:
            with lock:
                print(json.dumps(fields), flush=True)  # noqa: T201  # it is this command's result

    from replicator.supervisor.child import Child, command_of

    children = [
        Child(role, command_of(role, pump.options), pump.of(role.name, number))
        for number, role in enumerate(roles)
    ]
    end_within_s = config.run.end_within_s or config.sink.drain_deadline_s + 10.0
    Tree(children, config.run, end_within_s, tell).run()


class _Pump:
    """From the children's output to standard error."""

    def __init__(self, context: Context, width: int) -> None:
        from replicator import log

        self._pretty = log.pretty(context.log_format)
        self._width = width
        self._lock = threading.Lock()
        path = () if context.config_path is None else ("--config", str(context.config_path))
        self.options = (
            *path,
            "--log-level",
            context.log_level,
            "--log-format",
            "console" if self._pretty else "json",
        )

    def of(self, role: str, number: int) -> Callable[[str], None]:
        """What takes the lines of a role."""
        from replicator.supervisor.lines import prefixed, with_role

        def take(line: str) -> None:
            if self._pretty:
                colour = number if sys.stderr.isatty() else None
                text = prefixed(role, line, width=self._width, colour=colour)
            else:
                text = with_role(role, line, datetime.now(UTC).isoformat().replace("+00:00", "Z"))
            with self._lock:
                sys.stderr.write(text + "\n")
                sys.stderr.flush()

        return take


def _numbers(given: list[str]) -> dict[str, int]:
    found = {}
    for each in given:
        name, _, number = each.partition("=")
        if not name or not number.isdecimal():
            raise ConfigError(f"--instances {each!r} is not DESTINATION=NUMBER, as in primary=2.")
        found[name] = int(number)
    return found
