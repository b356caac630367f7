"""Dead letters on their way to Kafka, in a thread of their own: the loop never waits for a broker."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from replicator.deadletter.topic import LetterTopic
from replicator.errors import KafkaError
from replicator.writer.partition.effects import Posting
from replicator.writer.partition.state_machine import PartitionWriter
from replicator.writer.process import failpoints
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Pool, Supervisor

_log = structlog.get_logger()
_BACKOFF_CAP_S = 10.0
_TROUBLE = "dead letters"


@dataclass(frozen=True, slots=True)
class Posted:
    """The letter is durable."""

    writer: PartitionWriter
    posting: Posting


class Outbox:
    """Writes letters until they are durable, in order, as many at a time as there are."""

    def __init__(
        self,
        topic: LetterTopic,
        health: Health,
        supervisor: Supervisor,
        post: Callable[[Posted], None],
    ) -> None:
        self.destination = topic.destination
        self._topic = topic
        self._health = health
        self._told = post
        self._lock = threading.Lock()
        self._waiting: list[tuple[PartitionWriter, Posting]] = []
        self._attempt = 0
        self._pool = Pool("letters", 1, supervisor)

    def post(self, writer: PartitionWriter, posting: Posting) -> None:
        """Have the letter written; `Posted` follows, unless nobody waits for it any more."""
        with self._lock:
            self._waiting.append((writer, posting))
        self._pool.submit(self._send)

    def _send(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        wanted = [each for each in waiting if not each[0].dropped and not each[1].forgotten]
        if not wanted:
            return
        failpoints.reach("letter_sending")
        try:
            self._topic.write([posting.letter for _, posting in wanted])
        except KafkaError as error:
            self._health.trouble(_TROUBLE, str(error))
            _log.error("dead letters can't be written yet", letters=len(wanted), error=str(error))
            with self._lock:
                self._waiting = wanted + self._waiting
            self._attempt += 1
            wait_s = random.uniform(0.1, min(_BACKOFF_CAP_S, 0.2 * 2.0 ** min(self._attempt, 10)))
            self._pool.submit(self._send, after_s=wait_s)
            return
        failpoints.reach("letter_written")
        self._attempt = 0
        self._health.trouble(_TROUBLE, None)
        for writer, posting in wanted:
            letter = posting.letter
            _log.warning(
                "dead letter",
                id=letter.id,
                kind=letter.kind.value,
                topic=letter.chain.topic,
                partition=letter.chain.partition,
                first=letter.first,
                next=letter.next,
                reason=letter.reason.value,
                detail=letter.detail,
            )
            self._told(Posted(writer, posting))
