"""Writing the control topic: one leader's pen, which the next leader's breaks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from replicator.config import Config
from replicator.control.events.event import Event
from replicator.control.events.topic import EVENT, POINT, codec_of, failed, name_of
from replicator.errors import KafkaError
from replicator.points import SignedPoint

_TIMEOUT_S = 15.0


class FencedError(KafkaError):
    """Another process has taken over: what this one wanted to write was refused by Kafka."""


class LostTrackError(KafkaError):
    """Whether something was written isn't known: the term has to end, and the topic to be read again."""


class Journal:
    """The leader's pen: each write is a transaction of a producer that the next leader's fences.

    So a leader that was stopped for minutes and comes back can't add an event, nor move a group's offset.
    """

    def __init__(self, config: Config) -> None:
        """Fence all former leaders; `KafkaError` when Kafka can't do it in time."""
        self._topic = name_of(config.installation)
        self._kafka = config.kafka
        self._codec = codec_of(config)
        self._producer = Producer(
            {
                **config.kafka.client(),
                "transactional.id": self._topic,
                "transaction.timeout.ms": 20_000,
                "client.id": f"replicator-control.{socket.gethostname()}",
            }
        )
        self._try("take over the control topic", lambda: self._producer.init_transactions(_TIMEOUT_S))

    def write(
        self,
        events: Sequence[Event] = (),
        points: Sequence[SignedPoint] = (),
        *,
        group: str | None = None,
        offsets: Sequence[TopicPartition] = (),
    ) -> None:
        """Append all of it, and set `group`'s offsets, or do nothing at all.

        `FencedError` when another leader has taken over; `RegistryError`, and then nothing was written;
        `LostTrackError` when Kafka didn't answer as it should.
        """
        values = [self._codec.encode(EVENT, event.fields()) for event in events]
        values += [self._codec.encode(POINT, _point_fields(signed)) for signed in points]

        def send() -> None:
            self._producer.begin_transaction()
            for value in values:
                self._producer.produce(self._topic, value, partition=0)
            if group is not None and offsets:
                asker = Consumer(self._kafka.client(**{"group.id": group}))
                try:
                    self._producer.send_offsets_to_transaction(
                        list(offsets), asker.consumer_group_metadata(), _TIMEOUT_S
                    )
                finally:
                    asker.close()
            self._producer.commit_transaction(_TIMEOUT_S)

        self._try("write to the control topic", send)

    def _try(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except KafkaException as error:
            cause = error.args[0]
            if cause.fatal():
                raise FencedError(
                    f"This process can't {what}: {cause.str()}. Another one leads, or will.",
                    next_step="nothing: it stands by, and takes over when it must",
                ) from None
            # A commit without an answer may have happened. Only the next term's producer, which waits until
            # this transaction has ended one way or the other, can find out.
            raise LostTrackError(
                failed(what, error).message, next_step="nothing, while Kafka comes back: the term begins anew"
            ) from None


def _point_fields(signed: SignedPoint) -> dict[str, Any]:
    point = signed.point
    return {
        **{name: getattr(point, name) for name in point.__slots__ if name != "ends"},
        "ends": [{name: getattr(end, name) for name in end.__slots__} for end in point.ends],
        "key_id": signed.key_id,
        "signature": signed.signature,
    }
