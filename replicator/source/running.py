"""Waiting until a connector and its tasks run, and telling why they don't."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.errors import SourceError
from replicator.source.connect_api import Connect

_PAUSE_S = 0.3
_LONGEST_LINE = 600
_STALE_S = 3.0
"""For so long after a restart Connect may still tell the failure that was before it."""


class ConnectorFailedError(SourceError):
    """The connector or a task of it is FAILED, or didn't get where it should in time (`late`)."""

    def __init__(self, message: str, *, next_step: str | None = None, late: bool = False) -> None:
        super().__init__(message, next_step=next_step)
        self.late = late


@dataclass(frozen=True, slots=True)
class State:
    """States of a connector and its tasks as Connect gives them, and the first trace of a failure."""

    connector: str
    tasks: tuple[str, ...]
    trace: str | None

    @property
    def runs(self) -> bool:
        """Whether the connector and at least one task, and no task less, are RUNNING."""
        return self.connector == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}

    @property
    def failed(self) -> bool:
        """Whether anything is FAILED."""
        return "FAILED" in (self.connector, *self.tasks)

    def __str__(self) -> str:
        return f"connector {self.connector}, tasks {', '.join(self.tasks) or 'none'}"


def state(status: Mapping[str, Any] | None) -> State:
    """The state in an answer of Connect's status call."""
    if status is None:
        return State("ABSENT", (), None)
    parts = [status["connector"], *status["tasks"]]
    trace = next((str(part["trace"]) for part in parts if part.get("trace")), None)
    return State(parts[0]["state"], tuple(part["state"] for part in parts[1:]), trace)


def wait_until_runs(
    connect: Connect, name: str, *, deadline_s: float = 90.0, config: Mapping[str, str] | None = None
) -> State:
    """Wait until all of it runs, with `config` when it is given.

    `ConnectorFailedError` with the trace when something is FAILED and not just about to be
    restarted, and at the deadline with what was missing.
    """
    deadline = time.monotonic() + deadline_s
    believable_at = time.monotonic() + min(_STALE_S, deadline_s / 2)
    while True:
        now = state(connect.status(name))
        current = config is None or _has(connect.task_configs(name), config)
        if now.runs and current:
            return now
        if now.failed and current and time.monotonic() > believable_at:
            raise ConnectorFailedError(
                f"The connector {name} has failed ({now}); no changes are captured.\n" + shortened(now.trace),
                next_step="cure the cause in the trace, then `replicator connect restart`",
            )
        if time.monotonic() > deadline:
            lack = str(now) if current else f"{now}, but with an earlier configuration"
            raise ConnectorFailedError(
                f"The connector {name} doesn't run after {deadline_s:.0f} s: {lack}.",
                next_step="`replicator connect status` shows it later; the workers' log tells why",
                late=True,
            )
        time.sleep(_PAUSE_S)


def shortened(trace: str | None) -> str:
    """A Java trace as a person reads it: the error, where it was thrown, and its causes."""
    if not trace:
        return "(Connect gives no trace)"
    lines = [line.rstrip() for line in trace.strip().splitlines()]
    causes = [line for line in lines[1:] if line.startswith("Caused by:")]
    thrown = [line for line in lines[1:3] if line.lstrip().startswith("at ")]
    left = len(lines) - 1 - len(causes) - len(thrown)
    more = [f"({left} more lines: `replicator connect status --json`)"] if left > 0 else []
    return "\n".join([_cut(lines[0]), *thrown, *map(_cut, causes), *more])


def _cut(line: str) -> str:
    return (
        line
        if len(line) <= _LONGEST_LINE
        else f"{line[: _LONGEST_LINE // 2]} … {line[-_LONGEST_LINE // 2 :]}"
    )


def _has(tasks: list[dict[str, str]], config: Mapping[str, str]) -> bool:
    return bool(tasks) and all(task.get(key) == value for task in tasks for key, value in config.items())
