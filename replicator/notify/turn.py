"""Whose turn it is to tell people, and how far they were told: a consumer group on the control topic."""

from __future__ import annotations

import structlog
from confluent_kafka import KafkaException, TopicPartition

from replicator.config import Config
from replicator.control.events.sole import SoleMember
from replicator.control.events.topic import failed

_TIMEOUT_S = 15.0
_SESSION_S = 10.0
_log = structlog.get_logger()


class Turn:
    """Membership of the group `replicator.{installation}.notices`; the one that has the partition tells.

    Its committed offset says up to where people were told, whoever told them.
    """

    def __init__(self, config: Config) -> None:
        self._member = SoleMember(config, f"replicator.{config.installation}.notices", _SESSION_S)

    def poll(self, wait_s: float) -> bool:
        """Whether it is this process's turn, after waiting `wait_s` seconds for news."""
        error = self._member.poll(wait_s)
        if error is not None:
            _log.warning("Kafka", error=error.str(), code=error.name())
        return self._member.chosen

    def reached(self) -> int | None:
        """The offset below which people were told of everything; None when nobody ever was. `KafkaError`."""
        try:
            [place] = self._member.consumer.committed(
                [TopicPartition(self._member.topic, 0)], timeout=_TIMEOUT_S
            )
        except KafkaException as error:
            raise failed("tell how far people were told", error) from None
        return place.offset if place.offset >= 0 else None

    def commit(self, offset: int) -> None:
        """People were told of everything below the offset. `KafkaError`."""
        try:
            self._member.consumer.commit(
                offsets=[TopicPartition(self._member.topic, 0, offset)], asynchronous=False
            )
        except KafkaException as error:
            raise failed("keep how far people were told", error) from None

    def close(self) -> None:
        """Let another process tell."""
        self._member.close()
