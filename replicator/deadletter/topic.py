"""The topic of a destination's letters: made on the first letter, written durably, read whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka import KafkaError as BrokerError
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from replicator import config
from replicator.deadletter.box import Box
from replicator.deadletter.letter import FORMAT, FORMAT_HEADER, Letter, decode, encode, schema_text
from replicator.errors import KafkaError, ReplicatorError
from replicator.registry import RegistryError, SchemaRegistry

_LARGEST = 64 * 2**20
"""Bytes of the largest letter: a record of `sink.max_record_bytes` fits, and a broker's largest request
(100 MiB, `socket.request.max.bytes`) isn't reached."""
_TIMEOUT_S = 15.0
_SILENCE_S = 30.0


def name_of(installation: str, destination: str) -> str:
    """The topic that keeps a destination's letters."""
    return f"replicator.{installation}.dlq.{destination}"


class LetterTopic:
    """Writes and reads the letters of one destination. One thread at a time."""

    def __init__(self, settings: config.Config, destination: str) -> None:
        self.destination = destination
        self.name = name_of(settings.installation, destination)
        self._kafka = settings.kafka
        self._registry = SchemaRegistry(settings.registry)
        self._producer: Producer | None = None
        self._schema_id: int | None = None

    def write(self, letters: Sequence[Letter]) -> None:
        """Return when every one of the letters is durable in Kafka (acks=all).

        `KafkaError` otherwise, and then nothing is known of any of them: writing them again is harmless. A
        record that is too large even for this topic is left out of its letter.
        """
        if not letters:
            return
        schema_id = self._register()
        producer = self._open()
        refused: list[BrokerError] = []

        def told(error: BrokerError | None, _: Message) -> None:
            if error is not None:
                refused.append(error)

        try:
            for letter in letters:
                producer.produce(
                    self.name,
                    key=letter.id,
                    value=encode(_fitting(letter), schema_id),
                    headers={FORMAT_HEADER: str(FORMAT).encode()},
                    on_delivery=told,
                )
                producer.poll(0)
            unanswered = producer.flush(_TIMEOUT_S + 1)
        except KafkaException as error:
            raise self._failed(error.args[0].str()) from None
        except BufferError as error:
            raise self._failed(str(error)) from None
        if unanswered:
            # What is still queued must not be sent behind our back: the next try has a producer of its own.
            producer.purge()
            self._producer = None
            raise self._failed("no answer in time")
        if refused:
            raise self._failed(refused[0].str())

    def read(self) -> Box:
        """Every letter that the topic holds now, folded; empty when there is no such topic.

        `KafkaError` when Kafka doesn't answer. What can't be read as a letter is in the box by name.
        """
        box = Box(self.name)
        more: dict[str, str | int | float | bool] = {
            "group.id": f"{self.name}.reader-{uuid4().hex[:8]}",  # never joined: librdkafka wants one
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
        }
        consumer = Consumer(self._kafka.client(**more))
        try:
            known = consumer.list_topics(timeout=_TIMEOUT_S).topics
            if self.name not in known:
                return box
            open_partitions = set(known[self.name].partitions)
            consumer.assign([TopicPartition(self.name, each, -2) for each in open_partitions])
            self._read(consumer, open_partitions, box)
        except KafkaException as error:
            raise KafkaError(
                f"The letters in {self.name} can't be read: {error.args[0].str()}",
                next_step="check that the brokers are up and that `kafka:` names them",
            ) from None
        finally:
            consumer.close()
        return box

    def _read(self, consumer: Consumer, open_partitions: set[int], box: Box) -> None:
        heard = time.monotonic()
        while open_partitions:
            messages = consumer.consume(500, 1.0)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise KafkaError(
                    f"Kafka gave nothing of {self.name} for {_SILENCE_S:.0f} s, and its end wasn't reached.",
                    next_step="check the brokers: a partition without a leader answers nothing",
                )
            for message in messages:
                problem = message.error()
                if problem is None:
                    self._put(message, box)
                elif problem.code() == BrokerError._PARTITION_EOF:
                    open_partitions.discard(message.partition() or 0)
                else:
                    raise KafkaException(problem)

    def _put(self, message: Message, box: Box) -> None:
        where = f"{self.name}[{message.partition()}] offset {message.offset()}"
        try:
            box.put(decode(message.value() or b"", message.headers(), where))  # type: ignore[arg-type]
        except ReplicatorError as error:
            box.unreadable.append(error)

    def _open(self) -> Producer:
        if self._producer is None:
            self._create()
            more: dict[str, str | int | float | bool] = {
                "acks": "all",
                "enable.idempotence": True,
                "message.max.bytes": _LARGEST,
                "message.timeout.ms": int(_TIMEOUT_S * 1000),
                "compression.type": "zstd",
                "linger.ms": 0,
                "allow.auto.create.topics": False,
            }
            self._producer = Producer(self._kafka.client(**more))
        return self._producer

    def _create(self) -> None:
        admin = AdminClient(self._kafka.client())
        new = NewTopic(
            self.name,
            num_partitions=1,
            replication_factor=-1,
            config={
                "cleanup.policy": "delete",
                "retention.ms": "-1",
                "retention.bytes": "-1",
                "max.message.bytes": str(_LARGEST),
            },
        )
        [future] = admin.create_topics([new], request_timeout=_TIMEOUT_S).values()
        try:
            future.result(_TIMEOUT_S + 1)
        except KafkaException as error:
            if error.args[0].code() != BrokerError.TOPIC_ALREADY_EXISTS:
                raise self._failed(f"the topic can't be made: {error.args[0].str()}") from None
        except TimeoutError:
            raise self._failed("the topic can't be made: no answer in time") from None

    def _register(self) -> int:
        if self._schema_id is None:
            try:
                self._schema_id = self._registry.register(f"{self.name}-value", schema_text())
            except RegistryError as error:
                raise self._failed(error.message.rstrip("."), error.next_step) from None
        return self._schema_id

    def _failed(self, why: str, next_step: str | None = None) -> KafkaError:
        return KafkaError(
            f"Letters can't be written to {self.name}: {why}. Nothing beyond what they are about is "
            "committed before they are.",
            next_step=next_step or "check the brokers, and that we may create and write that topic",
        )


def _fitting(letter: Letter) -> Letter:
    record = letter.record
    if record is None or record.size < _LARGEST - 2**20:
        return letter
    detail = f"{letter.detail} Its {record.size} bytes don't fit into a letter: they are in Kafka alone."
    return replace(letter, detail=detail, record=None)
