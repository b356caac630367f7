"""The canary's rows at the other end: read from Kafka, decoded with the registry's own schemas."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from replicator.config import Config
from replicator.debezium.exact import row_fields
from replicator.errors import KafkaError
from replicator.source.decoding import Decoder

_POLL_S = 0.5


@dataclass(slots=True)
class Arrival:
    """What came: rows by id, each column as the Avro reader gives it, and what the way there looked like."""

    rows: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)
    """Text of each schema by its id."""
    exact: frozenset[str] = frozenset()
    """Fields that our own converter wrote."""
    produced_ms: int = 0
    """Milliseconds since the epoch on the Connect worker's clock, of the last row."""


class CanaryTopic:
    """The canary's topic from here on: opened before the rows are written, so that none is missed."""

    def __init__(self, config: Config) -> None:
        self._topic = f"{config.installation}.replicator.canary"
        self._decoder = Decoder(config.registry)
        self._arrival = Arrival(schemas=self._decoder.texts)
        self._consumer = Consumer(
            {
                **config.kafka.client(),
                "group.id": f"replicator.{config.installation}.doctor",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
        self._ends = self._watermarks()

    def __enter__(self) -> CanaryTopic:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def wait(self, run: str, rows: int, deadline_s: float) -> Arrival:
        """All rows of that run, or those that came until the deadline. `KafkaError` without a broker."""
        deadline = time.monotonic() + deadline_s
        assigned = False
        while len(self._arrival.rows) < rows and time.monotonic() < deadline:
            if not assigned:
                assigned = self._assign()
                if not assigned:
                    time.sleep(_POLL_S)
                    continue
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            if message.error():
                raise KafkaError(f"Kafka can't give {self._topic}: {message.error()}")
            self._take(message, run)
        return self._arrival

    def _watermarks(self) -> dict[int, int]:
        try:
            found = self._consumer.list_topics(self._topic, timeout=10).topics[self._topic]
            if found.error is not None:
                return {}
            return {
                number: self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=10)[
                    1
                ]
                for number in found.partitions
            }
        except KafkaException as error:
            raise KafkaError(
                f"Kafka can't be reached: {error.args[0].str()}",
                next_step="check kafka.bootstrap_servers and kafka.options",
            ) from None

    def _assign(self) -> bool:
        there = self._consumer.list_topics(self._topic, timeout=10).topics[self._topic]
        if there.error is not None or not there.partitions:
            return False
        self._consumer.assign(
            [TopicPartition(self._topic, number, self._ends.get(number, 0)) for number in there.partitions]
        )
        return True

    def _take(self, message: Message, run: str) -> None:
        body = message.value()
        if body is None:
            return
        where = f"{self._topic}[{message.partition()}]@{message.offset()}"
        schema_id, envelope = self._decoder.decode(bytes(body), where)
        row = envelope.get("after") if isinstance(envelope, dict) else None
        if row is not None and row.get("run") == run:
            self._arrival.rows[row["id"]] = row
            self._arrival.exact = row_fields(self._arrival.schemas[schema_id])[1]
            self._arrival.produced_ms = message.timestamp()[1]
