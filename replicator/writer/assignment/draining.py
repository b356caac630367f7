"""Waiting for what partitions hold to become durable, before they are given back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog

from replicator.writer.assignment.assigned import Assigned

_log = structlog.get_logger()


def drain(leaving: Iterable[Assigned], deadline: float, hear: Callable[[float], None]) -> None:
    """Wait until all that these partitions sealed is durable, but no longer than the (monotonic) deadline.

    `hear` waits for so many seconds at most for something to happen, and applies it.
    """
    waited = [(each, each.writer) for each in leaving if each.writer is not None]
    while (undone := [pair for pair in waited if not pair[1].settled]) and (
        left := deadline - time.monotonic()
    ) > 0:
        hear(min(left, 1.0))
    for assigned, writer in undone:
        _log.warning(
            "not durable within the deadline; it is read from Kafka again",
            partition=assigned.name,
            durable=writer.durable,
            read=writer.expected,
        )
