"""Who does what only one process may do: the member that a group gives the control topic's only partition."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from replicator.config import Config
from replicator.control.events.topic import name_of


class SoleMember:
    """Membership of a group on the control topic; `poll` is called every few seconds.

    `consumer` is the member's own, for commits.
    """

    def __init__(self, config: Config, group: str, session_s: float, **more: Any) -> None:
        """A member that is silent for `session_s` is replaced; `more` is for librdkafka."""
        self.topic = name_of(config.installation)
        self.chosen = False
        """Whether the partition is ours now, as far as we were told."""
        self.consumer = Consumer(
            {
                **config.kafka.client(),
                "group.id": group,
                "session.timeout.ms": int(session_s * 1000),
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "allow.auto.create.topics": False,
                # Nothing is read here: the log has a consumer of its own.
                "queued.max.messages.kbytes": 64,
                **more,
            }
        )
        self.consumer.subscribe(
            [self.topic], on_assign=self._assigned, on_revoke=self._gone, on_lost=self._gone
        )

    def poll(self, wait_s: float) -> KafkaError | None:
        """Wait `wait_s` seconds for news of the group; what Kafka complains of, if it does."""
        message = self.consumer.poll(wait_s)
        return message.error() if message is not None else None

    def close(self) -> None:
        """Leave the group at once, so that another process is chosen."""
        self.chosen = False
        self.consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            consumer.assign(partitions)
            consumer.pause(partitions)
            self.chosen = True

    def _gone(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self.chosen = False
        consumer.unassign()
