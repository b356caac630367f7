"""Reading the control topic: what happened, in order, and nothing that isn't believed."""

from __future__ import annotations

import time

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka import KafkaError as BrokerError

from replicator.config import Config
from replicator.control.events.event import Event, millis
from replicator.control.events.state import State, apply, apply_point, refusal
from replicator.control.events.topic import EVENT, codec_of, failed, name_of
from replicator.errors import KafkaError
from replicator.points import ForgedPointError, Keys, RestorePoint, SignedPoint
from replicator.records import ForeignRecordError, RecordCodec

_CATCH_UP_S = 30.0
_log = structlog.get_logger()

Record = Event | RestorePoint


class ControlLog:
    """Reads the topic from its beginning; every process has its own, and no group's offset is used.

    `state` is what all that was read comes to; `refused` is what stood there and wasn't believed or
    understood, in words, oldest first.
    """

    def __init__(self, config: Config, *, points: bool = True, codec: RecordCodec | None = None) -> None:
        """Restore points are checked with the configuration's keys, or passed over without `points`."""
        self._topic = name_of(config.installation)
        self._codec = codec or codec_of(config)
        self._keys = Keys(config.control) if points else None
        self._reached = 0
        """Where the topic's end was met last; markers of transactions count, which are no records."""
        self._unread: list[Message] = []
        self.state = State()
        self.refused: list[str] = []
        self._consumer = Consumer(
            {
                **config.kafka.client(),
                "group.id": f"{self._topic}.readers",  # librdkafka asks for one; it is never joined
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "allow.auto.create.topics": False,
            }
        )
        self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])

    def read(self, wait_s: float = 0.0) -> list[Record]:
        """What was written since, in order; waits `wait_s` seconds for a first record.

        `RegistryError` while a schema can't be had (the same records come again then), `KafkaError` when the
        topic can't be read.
        """
        return [record for _, record in self.read_at(wait_s)]

    def read_at(self, wait_s: float = 0.0) -> list[tuple[int, Record]]:
        """As `read`, each record with its offset."""
        if not self._unread:
            self._unread = self._consumer.consume(500, wait_s)
        found: list[tuple[int, Record]] = []
        while self._unread:
            message = self._unread[0]
            record = self._take(message)
            del self._unread[0]
            if record is not None:
                found.append((message.offset() or 0, record))
        return found

    def catch_up(self, deadline_s: float = _CATCH_UP_S) -> list[Record]:
        """Everything up to the end of the topic as it is now; `KafkaError` when that isn't had in time."""
        return [record for _, record in self.catch_up_at(deadline_s)]

    def catch_up_at(self, deadline_s: float = _CATCH_UP_S) -> list[tuple[int, Record]]:
        """As `catch_up`, each record with its offset."""
        found: list[tuple[int, Record]] = []
        deadline = time.monotonic() + deadline_s
        end = self._end(deadline_s)
        while self._reached < end:
            if time.monotonic() > deadline:
                raise KafkaError(
                    f"{self._topic} wasn't read to its end within {deadline_s:.0f} s: at offset "
                    f"{self._reached} of {end}. Nothing is decided on half of what happened.",
                    next_step="check that the brokers are up",
                )
            found += self.read_at(0.2)
        return found

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def _end(self, deadline_s: float) -> int:
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=deadline_s)[1]
        except KafkaException as error:
            raise failed(f"read {self._topic}", error) from None

    def _take(self, message: Message) -> Record | None:
        if message.error() is not None:
            self._note(message)
            return None
        value = message.value()
        where = f"offset {message.offset()} of {self._topic}"
        try:
            record = self._decode(value if isinstance(value, bytes) else b"", where)
            if record is None:
                return None
        except (ForeignRecordError, ForgedPointError) as error:
            self._refuse(where, error.message)
            return None
        if isinstance(record, RestorePoint):
            self.state = apply_point(self.state, record)
            return record
        why = refusal(self.state, record)
        if why is not None:
            self._refuse(where, f"the event {record.kind} by {record.by} doesn't count: {why}")
            return None
        self.state = apply(self.state, record)
        return record

    def _decode(self, payload: bytes, where: str) -> Record | None:
        kind, fields = self._codec.decode(payload)
        if kind == EVENT:
            return Event.from_fields(fields)
        if self._keys is None:
            return None
        fields |= {name: millis(fields[name]) for name in ("committed_ms", "made_ms")}
        signed = SignedPoint(RestorePoint.from_fields(fields), fields["key_id"], fields["signature"])
        return self._keys.check(signed, where)

    def _note(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        if error.code() == BrokerError._PARTITION_EOF:
            self._reached = message.offset() or 0
        elif error.code() == BrokerError._AUTO_OFFSET_RESET or error.fatal():
            raise KafkaError(
                f"{self._topic} can't be read any more: {error.str()}",
                next_step="if it was deleted and made anew, restart: control begins from what is there",
            )
        else:
            _log.warning("Kafka", error=error.str(), code=error.name())

    def _refuse(self, where: str, why: str) -> None:
        self.refused.append(f"{where}: {why}")
        _log.error("a record of the control topic was refused", where=where, error=why)
