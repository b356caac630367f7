"""What groups have committed: the offsets, and what we say beside each."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from replicator.segment.name import Chain, Place
from replicator.writer.destination import Fingerprint


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed offset, with what our commit said beside it (None where it wasn't ours)."""

    offset: int
    digest: str | None
    words: str | None
    topic_id: str | None


def commit_metadata(fingerprint: Fingerprint, chain: Chain) -> str:
    """What is committed beside an offset: whose offset it is, and of which incarnation of the topic."""
    return json.dumps(
        {"f": fingerprint.digest, "w": fingerprint.words, "t": chain.topic_id}, separators=(",", ":")
    )


class Commits:
    """Reads groups' commits with a client of each group that never joins it. Safe to share between threads.

    librdkafka's admin client knows the question, too, but ends the process when the group's coordinator has
    moved or was restarted: https://github.com/confluentinc/librdkafka/issues/5040 (seen with 2.16).
    """

    def __init__(
        self, settings: Mapping[str, Any], *, connect: Callable[[dict[str, Any]], Any] = Consumer
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self, group: str, places: Iterable[Place], timeout_s: float) -> dict[Place, Committed]:
        """The commits of those of the places that the group has one of; nothing of a transaction that is
        still on its way. `KafkaException` when no answer comes."""
        asked = [TopicPartition(*place) for place in places]
        if not asked:
            return {}
        answers = self._client(group).committed(asked, timeout=timeout_s)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return {
            (answer.topic, answer.partition): _parse(answer.offset, answer.metadata)
            for answer in answers
            if answer.offset >= 0
        }

    def _client(self, group: str) -> Any:
        with self._lock:
            if group not in self._clients:
                self._clients[group] = self._connect(
                    {
                        **self._settings,
                        "group.id": group,
                        # Waits for offsets of transactions that haven't ended, as those who will read must.
                        "isolation.level": "read_committed",
                        "enable.auto.commit": False,
                        "allow.auto.create.topics": False,
                    }
                )
            return self._clients[group]


def _parse(offset: int, metadata: str | None) -> Committed:
    try:
        said = json.loads(metadata or "{}")
        return Committed(offset, said.get("f"), said.get("w"), said.get("t"))
    except (ValueError, AttributeError):
        return Committed(offset, None, None, None)
