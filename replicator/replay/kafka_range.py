"""A range of a partition read from Kafka once more."""

from __future__ import annotations

import time
from uuid import uuid4

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator import config
from replicator.errors import KafkaError
from replicator.segment.name import Chain
from replicator.segment.splice import Columns
from replicator.writer.kafka.group import Cluster

_log = structlog.get_logger()
_SILENCE_S = 30.0


class GoneError(KafkaError):
    """Kafka no longer has the range; another destination may."""


class RangeReader:
    """Reads ranges of any topic. One thread at a time."""

    def __init__(self, kafka: config.Kafka, cluster: Cluster) -> None:
        self._kafka = kafka
        self._cluster = cluster

    def read(self, chain: Chain, first: int, next_: int) -> Columns:
        """The committed records of `[first, next_)`.

        `GoneError` if retention removed some of them or the topic isn't that one any more, `KafkaError` if
        Kafka doesn't answer.
        """
        topic_id = self._cluster.topic_ids([chain.topic]).get(chain.topic)
        if isinstance(topic_id, KafkaError):
            raise topic_id
        if topic_id != chain.topic_id:
            raise GoneError(f"topic {chain.topic} was deleted or made anew (its id was {chain.topic_id})")
        messages = self._read(chain, first, next_)
        # Asked afterwards: what was still there then was there while it was read.
        earliest = self._cluster.earliest(chain.topic, chain.partition)
        if earliest > first:
            raise GoneError(f"Kafka's records of {chain} begin at offset {earliest}")
        return Columns(
            offsets=[message.offset() or 0 for message in messages],
            timestamps=[message.timestamp()[1] for message in messages],
            keys=[message.key() for message in messages],
            values=[message.value() for message in messages],
            headers=[message.headers() for message in messages],  # type: ignore[misc]  # a list, or None
        )

    def _read(self, chain: Chain, first: int, next_: int) -> list[Message]:
        more: dict[str, str | int | float | bool] = {
            "group.id": f"replicator.replay-{uuid4().hex[:8]}",  # never joined: librdkafka wants one
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "allow.auto.create.topics": False,
        }
        consumer = Consumer(self._kafka.client(**more))
        found: list[Message] = []
        try:
            consumer.assign([TopicPartition(chain.topic, chain.partition, first)])
            heard = time.monotonic()
            while True:
                messages = consumer.consume(500, 1.0)
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _SILENCE_S:
                    raise KafkaError(f"Kafka gave nothing of {chain} for {_SILENCE_S:.0f} s")
                for message in messages:
                    problem = message.error()
                    offset = message.offset() or 0
                    if problem is None and offset < next_:
                        found.append(message)
                    elif problem is None or problem.code() == BrokerError._PARTITION_EOF:
                        if problem is not None and offset < next_:
                            raise KafkaError(f"Kafka's records of {chain} end at {offset}, before {next_}")
                        return found
                    elif problem.code() == BrokerError._AUTO_OFFSET_RESET:
                        raise GoneError(f"Kafka no longer has offset {first} of {chain}")
                    else:
                        raise KafkaException(problem)
        except KafkaException as error:
            raise KafkaError(f"{chain} can't be read from {first} on: {error.args[0].str()}") from None
        finally:
            consumer.close()
