"""What control asks Kafka about many partitions, in few requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel
from confluent_kafka.admin import ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from replicator.segment.name import Place
from replicator.writer.kafka.group import Cluster

_TIMEOUT_S = 10.0
_GONE = ("UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID")
_NO_RECORD = -1
"""Kafka's answer when no record is as young as was asked for."""


class Brokers(Cluster):
    """Questions about many partitions at a time; `KafkaError` when no answer comes."""

    def high_watermarks(self, places: Sequence[Place]) -> dict[Place, int]:
        """The offset after the last record of each, whether its transaction has ended or not.

        A partition that was deleted meanwhile is left out.
        """
        return self._many(places, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]

    def stable_ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """Where a read_committed consumer's records end now."""
        return self._many(places, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]

    def beginnings(self, places: Sequence[Place]) -> dict[Place, int]:
        """The lowest offset that Kafka still has of each."""
        return self._many(places, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]

    def first_after(self, places: Sequence[Place], moment_ms: int) -> dict[Place, int]:
        """The offset of the first record of each with a timestamp from `moment_ms` on, else its end."""
        found = self._many(
            places,
            OffsetSpec.for_timestamp(moment_ms),
            IsolationLevel.READ_UNCOMMITTED,
            none=_NO_RECORD,
        )
        missing = [place for place in places if found.get(place) == _NO_RECORD]
        return {**found, **self.high_watermarks(missing)}

    def members(self, group_id: str) -> list[str]:
        """The client ids of the group's members."""
        return [str(member.client_id) for member in self._members(group_id)]

    def retention_ms(self, topics: Iterable[str]) -> Mapping[str, int]:
        """`retention.ms` of each topic, -1 for ever."""
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
        if not resources:
            return {}
        asked: dict[Any, Future[Any]] = self._admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
        return {
            resource.name: int(self._wait(future, f"the settings of {resource.name}")["retention.ms"].value)
            for resource, future in asked.items()
        }

    def _many(
        self, places: Sequence[Place], spec: Any, isolation: IsolationLevel, none: int | None = None
    ) -> dict[Place, int]:
        return self._offsets(places, spec, isolation, none=none, gone=_GONE, timeout_s=_TIMEOUT_S)
