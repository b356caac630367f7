"""Who leads: the one process that the group gives the control topic's only partition."""

from __future__ import annotations

import structlog
from confluent_kafka import KafkaError as BrokerError

from replicator.config import Config
from replicator.control.events.sole import SoleMember
from replicator.control.events.topic import name_of
from replicator.errors import KafkaError

SESSION_S = 8.0
"""A leader that is silent for so long is replaced. The classic protocol lets a client choose it; in the newer
one it is the broker's, 45 s by default, longer than a failover may take."""
_log = structlog.get_logger()


class Leadership:
    """Membership of the group `replicator.{installation}.control`; `poll` is called every few seconds."""

    def __init__(self, config: Config) -> None:
        self._member = SoleMember(
            config,
            name_of(config.installation),
            SESSION_S,
            **{"heartbeat.interval.ms": 1500, "max.poll.interval.ms": 60_000},
        )

    def poll(self, wait_s: float) -> bool:
        """Whether this process leads, after waiting `wait_s` seconds for news; `KafkaError` for good."""
        error = self._member.poll(wait_s)
        if error is not None:
            if error.fatal() or error.code() == BrokerError.GROUP_AUTHORIZATION_FAILED:
                raise KafkaError(
                    f"The control group {self._member.topic} can't be joined: {error.str()}",
                    next_step="allow READ on the group and the topic of that name",
                )
            _log.warning("Kafka", error=error.str(), code=error.name())
        return self._member.chosen

    def resign(self) -> None:
        """Leave the group at once, so that another process leads."""
        self._member.close()
