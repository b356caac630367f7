"""The newest END of the transaction topic: how far the source's history has come into Kafka."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator.config import Config
from replicator.control.decisions.reach import End
from replicator.control.events.topic import failed
from replicator.debezium.envelope import lsn_of, xid_of
from replicator.errors import IntegrityError, KafkaError
from replicator.segment.wire import VALUE_HEADER, NotWireFormatError, locate, schema_of_prefix
from replicator.writer.schemas.registry import Registry

_LOOK_BACK = 2000
"""Where to begin before the end of the topic, in offsets: an END is among them, or comes soon."""
_BATCH = 1000
_TIMEOUT_S = 10.0


class CommitTail:
    """Follows `{installation}.transaction`. For one thread."""

    def __init__(self, config: Config) -> None:
        self._topic = f"{config.installation}.transaction"
        self._registry = Registry(config.registry)
        self._schemas: dict[str, Any] = {}
        self._newest: End | None = None
        self._assigned = False
        self._consumer = Consumer(
            {
                **config.kafka.client(),
                "group.id": f"replicator.{config.installation}.control.tail",  # asked for, never joined
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "fetch.wait.max.ms": 100,
            }
        )

    def newest(self) -> End | None:
        """The last transaction that has ended, as far as Kafka has it now; None before the first.

        `KafkaError` and the registry's errors when it can't be told; `IntegrityError` for a record that is no
        transaction's.
        """
        if not self._assigned and not self._assign():
            return None
        while messages := self._consumer.consume(_BATCH, 0.0 if self._newest else 0.2):
            found = self._last_end(messages)
            if found is not None:
                self._newest = found
            if len(messages) < _BATCH:
                break
        return self._newest

    def _assign(self) -> bool:
        place = TopicPartition(self._topic, 0)
        try:
            if self._topic not in self._consumer.list_topics(timeout=_TIMEOUT_S).topics:
                return False
            low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise failed(f"tell the end of {self._topic}", error) from None
        self._consumer.assign([TopicPartition(self._topic, 0, max(low, high - _LOOK_BACK))])
        self._assigned = True
        return True

    def _last_end(self, messages: Sequence[Message]) -> End | None:
        """Only as many are decoded as it takes, from the newest back."""
        for message in reversed(messages):
            error = message.error()
            if error is not None:
                if error.code() in (BrokerError.UNKNOWN_TOPIC_OR_PART, BrokerError._UNKNOWN_PARTITION):
                    self._assigned, self._newest = False, None
                    return None
                if error.fatal():
                    raise KafkaError(f"{self._topic} can't be read: {error.str()}")
                continue
            row = self._decode(message)
            if row is not None and row.get("status") == "END":
                offset = message.offset()
                assert offset is not None
                return End(lsn_of(row["id"]), xid_of(row["id"]), int(row["ts_ms"]), offset)
        return None

    def _decode(self, message: Message) -> Mapping[str, Any] | None:
        value = message.value()
        if not isinstance(value, bytes):
            return None
        headers: Any = message.headers()
        try:
            prefix, at = locate(value, headers, VALUE_HEADER)
            name = schema_of_prefix(prefix)
            if name not in self._schemas:
                self._schemas[name] = fastavro.parse_schema(json.loads(self._registry.fetch(name)))
            row = fastavro.schemaless_reader(io.BytesIO(value[at:]), self._schemas[name], None)
        except (NotWireFormatError, ValueError, EOFError, IndexError) as error:
            raise IntegrityError(
                f"The record at offset {message.offset()} of {self._topic} is no transaction's: {error}. No "
                "restore point is published on such ground; what is stored is not affected.",
                next_step="find out what writes to that topic besides the connector",
            ) from None
        return row if isinstance(row, dict) else None
