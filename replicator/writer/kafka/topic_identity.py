"""Whether a topic is still the one whose records were consumed.

A consumer that stands at offset 3 of a topic reads on at offset 3 of a topic made anew under the same name,
before any rebalance tells it. Ids of topics never come back: if a question that was asked after a record had
been consumed finds the id that the chain bears, the record belongs to that chain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from replicator.errors import KafkaError
from replicator.writer.kafka.group import Cluster
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Pool, Supervisor

_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Question:
    topic: str
    told: Callable[[str | None], None]
    wanted: Callable[[], bool]


class TopicIdentity:
    """Answers many questions with as few to the brokers as there can be."""

    def __init__(self, cluster: Cluster, health: Health, supervisor: Supervisor) -> None:
        self._cluster = cluster
        self._health = health
        self._lock = threading.Lock()
        self._open: list[_Question] = []
        self._pool = Pool("topic-ids", 1, supervisor)

    def ask(self, topic: str, told: Callable[[str | None], None], wanted: Callable[[], bool]) -> None:
        """Have `told` the topic's id at some moment after this call, None if it doesn't exist then.

        It is asked until Kafka answers, or until nobody wants the answer any more.
        """
        with self._lock:
            self._open.append(_Question(topic, told, wanted))
        self._pool.submit(self._answer)

    def _answer(self) -> None:
        # What comes in from here on may not be answered by this question: the next job asks for it.
        with self._lock:
            asked, self._open = self._open, []
        wanted = {question.topic for question in asked if question.wanted()}
        found = self._cluster.topic_ids(wanted) if wanted else {}
        again = []
        for question in asked:
            answer = found.get(question.topic)
            failed = isinstance(answer, KafkaError)
            self._health.trouble(f"id of {question.topic}", str(answer) if failed else None)
            if question.topic not in wanted or not question.wanted():
                continue
            if isinstance(answer, KafkaError):
                again.append(question)
            else:
                question.told(answer)
        if again:
            with self._lock:
                self._open += again
            self._pool.submit(self._answer, after_s=_RETRY_S)
