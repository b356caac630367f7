"""Topics that have just come, found sooner than the group finds them.

A group's coordinator matches a pattern with new topics every ten seconds at most (Kafka 4.3), so the first
rows of a new table would wait as long. A topic that is named is assigned at once: one that has just come is
named beside the pattern, until the coordinator has found it as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from replicator.errors import KafkaError
from replicator.writer.process.pool import Submitter

_EVERY_S = 1.0
_SHARE = 0.05
"""Of the time, that looking may take: the list of a large cluster's topics is long."""
_NAMED_S = 30.0
"""For so long a new topic is named."""


class Newcomers:
    """Which of the topics that are seen have come lately. Those of the first look were there before."""

    def __init__(self, named_s: float = _NAMED_S) -> None:
        self._named_s = named_s
        self._since: dict[str, float] | None = None

    def see(self, topics: Iterable[str], now: float) -> list[str]:
        """The new ones among the topics that are there at `now`, in order."""
        first = float("-inf") if self._since is None else now
        before = self._since or {}
        self._since = {topic: before.get(topic, first) for topic in topics}
        return sorted(topic for topic, since in self._since.items() if now - since < self._named_s)


class NewTopics:
    """Looks about once a second, in the pool's threads; `told` has the new ones whenever they are others."""

    def __init__(
        self, topics: Callable[[], Iterable[str]], pool: Submitter, told: Callable[[list[str]], None]
    ) -> None:
        self._topics = topics
        self._pool = pool
        self._told = told
        self._newcomers = Newcomers()
        self._named: list[str] = []
        pool.submit(self._look)

    def _look(self) -> None:
        began = time.monotonic()
        try:
            named = self._newcomers.see(self._topics(), began)
        except KafkaError:
            pass  # the pattern finds them, too
        else:
            if named != self._named:
                self._named = named
                self._told(named)
        took = time.monotonic() - began
        self._pool.submit(self._look, after_s=max(_EVERY_S, took / _SHARE))
