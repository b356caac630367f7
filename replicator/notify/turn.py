"""Whose turn it is to tell people, and how far they were told: a consumer group on the control topic."""

from __future__ import annotations

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from replicator.config import Config
from replicator.control.events.topic import failed, name_of

_TIMEOUT_S = 15.0
_log = structlog.get_logger()


class Turn:
    """Membership of the group `replicator.{installation}.notices`; the one that has the partition tells.

    Its committed offset says up to where people were told, whoever told them.
    """

    def __init__(self, config: Config) -> None:
        self._topic = name_of(config.installation)
        self.ours = False
        self._consumer = Consumer(
            {
                **config.kafka.client(),
                "group.id": f"replicator.{config.installation}.notices",
                "session.timeout.ms": 10_000,
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "allow.auto.create.topics": False,
                "queued.max.messages.kbytes": 64,
            }
        )
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._gone, on_lost=self._gone
        )

    def poll(self, wait_s: float) -> bool:
        """Whether it is this process's turn, after waiting `wait_s` seconds for news."""
        message = self._consumer.poll(wait_s)
        error = message.error() if message is not None else None
        if error is not None:
            _log.warning("Kafka", error=error.str(), code=error.name())
        return self.ours

    def reached(self) -> int | None:
        """The offset below which people were told of everything; None when nobody ever was. `KafkaError`."""
        try:
            [place] = self._consumer.committed([TopicPartition(self._topic, 0)], timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise failed("tell how far people were told", error) from None
        return place.offset if place.offset >= 0 else None

    def commit(self, offset: int) -> None:
        """People were told of everything below the offset. `KafkaError`."""
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, 0, offset)], asynchronous=False)
        except KafkaException as error:
            raise failed("keep how far people were told", error) from None

    def close(self) -> None:
        """Let another process tell."""
        self.ours = False
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            consumer.assign(partitions)
            consumer.pause(partitions)  # the log has a consumer of its own
            self.ours = True

    def _gone(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self.ours = False
        consumer.unassign()
