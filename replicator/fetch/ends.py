"""Where partitions begin and end: many in one question to the brokers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from replicator.segment.name import Place


class UnansweredError(Exception):
    """The brokers didn't tell an offset of that topic; `why` is librdkafka's exception, or words."""

    def __init__(self, topic: str, why: object) -> None:
        super().__init__(f"{topic}: {why}")
        self.topic = topic
        self.why = why

    @property
    def words(self) -> str:
        """Why, for people."""
        if isinstance(self.why, KafkaException):
            return str(self.why.args[0].str())
        return str(self.why) or "no answer in time"


def offsets(
    admin: Any,
    places: Iterable[Place],
    spec: OffsetSpec,
    isolation: IsolationLevel,
    timeout_s: float,
    *,
    none: int | None = None,
    gone: Collection[str] = (),
) -> dict[Place, int]:
    """The offset of each. `none` is an answer, too; refused with one of `gone`, a place is left out.

    `UnansweredError` for any other refusal, and when no answer comes within `timeout_s` seconds.
    """
    wanted = {TopicPartition(*place): spec for place in places}
    if not wanted:
        return {}
    asked = admin.list_offsets(wanted, isolation_level=isolation, request_timeout=timeout_s)
    found: dict[Place, int] = {}
    for partition, future in asked.items():
        try:
            offset = int(future.result(timeout_s).offset)
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException) and error.args[0].name() in gone:
                continue
            raise UnansweredError(partition.topic, error) from None
        if offset < 0 and offset != none:
            # librdkafka's answer when the connection broke under the question: an offset that isn't one.
            raise UnansweredError(partition.topic, f"it answered {offset}")
        found[partition.topic, partition.partition] = offset
    return found
