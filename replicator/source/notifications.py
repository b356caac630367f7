"""What Debezium tells of its snapshots, read from Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator.config import Config
from replicator.errors import KafkaError
from replicator.source.decoding import Decoder

_TIMEOUT_S = 10.0


def read(config: Config) -> Iterator[Mapping[str, Any]]:
    """The notifications that are in the topic by now, decoded, in their order; none without a topic, and none
    where Kafka has dropped the first of them: what is left would tell of restarts alone.

    `KafkaError` when Kafka can't give them, `SourceError` when the registry can't.
    """
    topic = f"{config.installation}.notification"
    decoder = Decoder(config.registry)
    for offset, body in _bodies(config, topic):
        yield decoder.decode(body, f"{topic}[0]@{offset}")[1]


def _bodies(config: Config, topic: str) -> Iterator[tuple[int, bytes]]:
    consumer = Consumer(
        {
            **config.kafka.client(),
            "group.id": f"replicator.{config.installation}.doctor",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    try:
        if consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].error is not None:
            return
        first, last = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=_TIMEOUT_S)
        if first > 0 or first == last:
            return
        consumer.assign([TopicPartition(topic, 0, first)])
        while True:
            message = consumer.poll(_TIMEOUT_S)
            if message is None:
                raise KafkaError(f"Kafka gave nothing of {topic} within {_TIMEOUT_S:.0f} s.")
            error = message.error()
            if error is not None and error.code() == BrokerError._PARTITION_EOF:
                return
            if error is not None:
                raise KafkaError(f"Kafka can't give {topic}: {error.str()}")
            body, offset = message.value(), message.offset()
            if isinstance(body, bytes) and offset is not None:
                yield offset, body
    except KafkaException as error:
        raise KafkaError(
            f"Kafka can't be reached: {error.args[0].str()}",
            next_step="check kafka.bootstrap_servers and kafka.options",
        ) from None
    finally:
        consumer.close()
