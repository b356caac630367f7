"""`--once`: the end of the partitions as they were at the start, and whether everything up to there is
committed."""

from __future__ import annotations

import time

import structlog

from replicator.errors import KafkaError
from replicator.writer.assignment.assigned import Assigned, State
from replicator.writer.kafka.group import Cluster
from replicator.writer.loop import Sink

_log = structlog.get_logger()
_OTHERS_S = 1.0
"""How often the group's commits of partitions that others have are asked for."""


class CaughtUp:
    """True once all that Kafka held at the start is durable and committed, by this member or another."""

    def __init__(self, cluster: Cluster, group: str, pattern: str, sink: Sink) -> None:
        self._cluster = cluster
        self._group = group
        self._sink = sink
        ends = cluster.ends(cluster.partitions(pattern))
        self._missing = {place: end for place, end in ends.items() if end > 0}
        self._ask_at = 0.0
        _log.info("once: until these ends are durable", partitions=len(self._missing))

    def __call__(self) -> bool:
        """Also seals what is open, as soon as every partition has been read to its end."""
        now = time.monotonic()
        mine = self._sink.partitions
        for place, end in list(self._missing.items()):
            assigned = mine.get(place)
            if assigned is not None and (assigned.state is State.STOPPED or assigned.committed >= end):
                del self._missing[place]
        if now >= self._ask_at:
            self._ask_at = now + _OTHERS_S
            others = [place for place in self._missing if place not in mine]
            for place, committed in self._cluster.commits(self._group, others).items():
                if committed.offset >= self._missing[place]:
                    del self._missing[place]
        if all(_read(mine.get(place), end) for place, end in self._missing.items()):
            self._sink.flush()
        return not self._missing

    def check(self) -> None:
        """`KafkaError` naming the partitions that stopped before their end, if any did."""
        stopped = [each.error for each in self._sink.partitions.values() if each.error is not None]
        if stopped:
            raise KafkaError("\n".join(str(error) for error in stopped))


def _read(assigned: Assigned | None, end: int) -> bool:
    return assigned is None or (assigned.writer is not None and assigned.writer.reached >= end)
