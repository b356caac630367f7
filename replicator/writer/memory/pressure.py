"""Keeping to the memory bound: what is open is sealed, then nothing is taken until there is room."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import Assigned
from replicator.writer.memory.budget import should_pause, to_seal
from replicator.writer.partition.effects import Effect

_log = structlog.get_logger()


class Pressure:
    """One member's memory, `bound` bytes of records at most. Used by the loop's thread alone."""

    def __init__(self, bound: int, metrics: SinkMetrics) -> None:
        self._bound = bound
        self._metrics = metrics
        self.full = False
        """Whether no records are to be taken now; what librdkafka fetches ahead has a bound of its own."""

    def press(
        self, partitions: Collection[Assigned], apply: Callable[[Assigned, list[Effect]], None]
    ) -> None:
        """Seal at the bound, take nothing if that isn't enough, and go on when there is room."""
        holders = {each.writer: each for each in partitions if each.writer is not None}
        held = sum(writer.held for writer in holders)
        self._metrics.memory.set(held)
        if held >= self._bound:
            going = held - sum(writer.open_bytes for writer in holders)
            for writer in to_seal(holders, held, self._bound, going):
                apply(holders[writer], writer.seal("memory"))
        wanted = should_pause(held, self._bound, self.full)
        if wanted != self.full:
            self.full = wanted
            self._metrics.paused.set(wanted)
            _log.info("paused at the memory bound" if wanted else "resumed", held=held, bound=self._bound)
