"""Who leads: the one process that the group gives the control topic's only partition."""

from __future__ import annotations

import structlog
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator.config import Config
from replicator.control.events.topic import name_of
from replicator.errors import KafkaError

SESSION_S = 8.0
"""A leader that is silent for so long is replaced. The classic protocol lets a client choose it; in the newer
one it is the broker's, 45 s by default, longer than a failover may take."""
_log = structlog.get_logger()


class Leadership:
    """Membership of the group `replicator.{installation}.control`; `poll` is called every few seconds."""

    def __init__(self, config: Config) -> None:
        self._topic = name_of(config.installation)
        self.leads = False
        """Whether the partition is ours now, as far as we were told."""
        self._consumer = Consumer(
            {
                **config.kafka.client(),
                "group.id": self._topic,
                "session.timeout.ms": int(SESSION_S * 1000),
                "heartbeat.interval.ms": 1500,
                "max.poll.interval.ms": 60_000,
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "allow.auto.create.topics": False,
                # Nothing is read here: the log has a consumer of its own.
                "queued.max.messages.kbytes": 64,
            }
        )
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._gone, on_lost=self._gone
        )

    def poll(self, wait_s: float) -> bool:
        """Whether this process leads, after waiting `wait_s` seconds for news; `KafkaError` for good."""
        message = self._consumer.poll(wait_s)
        error = message.error() if message is not None else None
        if error is not None:
            if error.fatal() or error.code() == BrokerError.GROUP_AUTHORIZATION_FAILED:
                raise KafkaError(
                    f"The control group {self._topic} can't be joined: {error.str()}",
                    next_step="allow READ on the group and the topic of that name",
                )
            _log.warning("Kafka", error=error.str(), code=error.name())
        return self.leads

    def resign(self) -> None:
        """Leave the group at once, so that another process leads."""
        self.leads = False
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        consumer.assign(partitions)
        consumer.pause(partitions)
        self.leads = True

    def _gone(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self.leads = False
        consumer.unassign()
