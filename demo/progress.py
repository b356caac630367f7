"""How far the writer groups are, asked from Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import psycopg
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from demo.site import DemoError, Site
from replicator.segment.name import Place
from replicator.writer.kafka.commits import Commits

T = TypeVar("T")
_PATIENCE_S = 30.0
_PAUSE_S = 0.5


class Progress:
    """Ends of the topics and offsets of the groups of one installation."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": site.endpoints.kafka.bootstrap_servers,
            # The broker going away when the stack is taken down is no news.
            "log_level": 2,
        }
        self._admin = AdminClient(self._settings)
        self._commits = Commits(self._settings)

    def ends(self) -> dict[Place, int]:
        """The end of what a read_committed reader can see, of every partition of this installation."""
        return _patiently(self._ends)

    def committed(self, destination: str) -> dict[Place, int]:
        """The offsets that a destination's group has committed."""
        return _patiently(partial(self._committed, destination))

    def _places(self) -> list[Place]:
        topics = self._admin.list_topics(timeout=10).topics
        return [
            (name, partition)
            for name, topic in topics.items()
            if name.startswith(f"{self._site.name}.")
            for partition in topic.partitions
        ]

    def _ends(self) -> dict[Place, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._admin.list_offsets(
            {TopicPartition(*place): latest for place in self._places()},
            isolation_level=IsolationLevel.READ_COMMITTED,
        )
        return {(place.topic, place.partition): found.result(10).offset for place, found in asked.items()}

    def _committed(self, destination: str) -> dict[Place, int]:
        found = self._commits.read(self._site.group(destination), self._places(), 10)
        return {place: each.offset for place, each in found.items()}

    def behind(self, destination: str, ends: dict[Place, int]) -> int:
        """How many offsets of `ends` the group hasn't committed.

        The last offset of a partition may be a transaction's marker, which no reader sees: it doesn't count.
        """
        committed = self.committed(destination)
        return sum(max(0, end - 1 - committed.get(place, 0)) for place, end in ends.items())

    def ends_after_now(self, deadline_s: float) -> dict[Place, int]:
        """Ends that hold every transaction that is committed in PostgreSQL now.

        A transaction of our own marks the moment. Debezium hands over in commit order, so once its END is in
        Kafka, everything that was committed before it is, too.
        """
        topic = f"{self._site.name}.transaction"
        consumer = Consumer(
            {**self._settings, "group.id": f"{self._site.name}-marker", "enable.auto.commit": False}
        )
        try:
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
            consumer.assign([TopicPartition(topic, 0, high)])
            with psycopg.connect(self._site.source, autocommit=True) as connection:
                row = connection.execute(
                    "UPDATE replicator.heartbeat SET at = clock_timestamp() RETURNING "
                    "pg_current_xact_id()::text"
                ).fetchone()
            assert row is not None
            marks = (b"END", f"{row[0]}:".encode())
            end = time.monotonic() + deadline_s
            while True:
                message = consumer.poll(1.0)
                value = b"" if message is None or message.error() else message.value() or b""
                if all(mark in value for mark in marks):
                    return self.ends()
                if time.monotonic() > end:
                    raise DemoError(
                        f"Transaction {row[0]} didn't reach Kafka within {deadline_s:.0f} s.",
                        next_step="look at the connector with `replicator connect status`",
                    )
        finally:
            consumer.close()

    def members(self, destination: str) -> list[int]:
        """How many partitions each member of the group has."""
        group = self._site.group(destination)
        described = _patiently(lambda: self._admin.describe_consumer_groups([group])[group].result(10))
        return [
            len(member.assignment.topic_partitions) if member.assignment else 0
            for member in described.members
        ]

    def delete_topics(self) -> None:
        """Delete the installation's topics."""
        suffix = (f"{self._site.name}.", f"__debezium-heartbeat.{self._site.name}")
        names = [name for name in self._admin.list_topics(timeout=10).topics if name.startswith(suffix)]
        for deleted in self._admin.delete_topics(names).values() if names else ():
            deleted.result(30)


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again while the broker is busy or a new topic's leader isn't known everywhere yet."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if time.monotonic() > end:
                raise DemoError(
                    f"Kafka hasn't answered within {_PATIENCE_S:.0f} s: {error.args[0].str()}",
                    next_step="look at the broker's log in the stack's directory",
                ) from None
            time.sleep(_PAUSE_S)
