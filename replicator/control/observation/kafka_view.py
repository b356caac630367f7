"""Kafka as control sees it at one moment: the newest commit, the ends, and what each lane has committed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replicator.config import Config
from replicator.control.decisions.reach import Candidate, End
from replicator.control.observation.brokers import Brokers
from replicator.control.observation.commit_tail import CommitTail
from replicator.errors import KafkaError
from replicator.segment.name import Chain, Place
from replicator.writer.kafka.commits import Committed
from replicator.writer.kafka.group import group_of, topics_of

_IDS_S = 10.0
"""Ids of topics are asked for again after so long: one may have been made anew."""


@dataclass(frozen=True, slots=True)
class KafkaView:
    """One look at Kafka. `at` is in seconds since 1970."""

    at: float
    newest: End | None
    ends: Mapping[Chain, int]
    """The offsets after the last records, whether their transactions have ended or not."""
    stable: Mapping[Place, int]
    """Where a sink's records end."""
    commits: Mapping[str, Mapping[Place, Committed]]
    """Of each destination's group."""

    def candidate(self) -> Candidate | None:
        """A restore point to be reached, None without a commit."""
        return None if self.newest is None else Candidate(self.newest, self.ends, self.at)

    def lag(self, destination: str) -> int:
        """Offsets between what the destination's group has committed and the ends."""
        commits = self.commits.get(destination, {})
        return sum(
            max(0, end - (commits[place].offset if place in commits else 0))
            for place, end in self.stable.items()
        )

    def committed(self, destination: str) -> int:
        """The sum of the group's offsets: it grows when the lane moves."""
        return sum(each.offset for each in self.commits.get(destination, {}).values())


class KafkaObserver:
    """Looks at Kafka. For one thread."""

    def __init__(self, config: Config) -> None:
        self.brokers = Brokers(config.kafka, f"replicator-control.{config.installation}")
        self._installation = config.installation
        self._tail = CommitTail(config)
        self._pattern = topics_of(config.installation)
        self._ids: dict[str, str] = {}
        self._ids_at = 0.0

    def look(self, destinations: Iterable[str]) -> KafkaView:
        """One look; the newest commit is read first, so that all its records lie below the ends.

        `KafkaError` when Kafka doesn't answer, the registry's and `IntegrityError` as the tail raises them.
        """
        newest = self._tail.newest()
        places = self.brokers.partitions(self._pattern)
        ids = self._topic_ids({topic for topic, _ in places})
        places = [place for place in places if place[0] in ids]
        ends = self.brokers.high_watermarks(places)
        stable = self.brokers.stable_ends(places)
        commits = {
            name: self.brokers.commits(group_of(self._installation, name), places)
            for name in sorted(destinations)
        }
        return KafkaView(
            time.time(),
            newest,
            {Chain(topic, ids[topic], partition): end for (topic, partition), end in ends.items()},
            stable,
            commits,
        )

    def _topic_ids(self, topics: set[str]) -> Mapping[str, str]:
        now = time.monotonic()
        if now - self._ids_at >= _IDS_S or not topics <= self._ids.keys():
            found = self.brokers.topic_ids(topics)
            for answer in found.values():
                if isinstance(answer, KafkaError):
                    raise answer
            self._ids = {topic: name for topic, name in found.items() if isinstance(name, str)}
            self._ids_at = now
        return self._ids
