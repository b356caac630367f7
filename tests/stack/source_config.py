"""A test database's configuration, and its topics as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from deploy.local import configuration
from deploy.local.endpoints import Endpoints
from replicator.config import Config
from replicator.source.connect_api import Connect
from replicator.source.decoding import Decoder
from replicator.source.install import install
from replicator.source.registration import Registration
from tests.source_database import SourceDatabase

ARRIVAL_S = 60.0


def config_for(stack: Endpoints, database: SourceDatabase, **source: Any) -> Config:
    settings = {"heartbeat_s": 1.0, **source}
    return Config.model_validate(
        configuration.captured(stack, database.installation, database.dsn, **settings)
    )


@dataclass(frozen=True, slots=True)
class Capture:
    """A database that is being captured."""

    config: Config
    said: list[str]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.config.source.dsn.get_secret_value(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def apply(self) -> Registration:
        registration = Registration.open(self.config)
        registration.apply()
        registration.wait(90)
        return registration


def installed(config: Config) -> Capture:
    said: list[str] = []
    install(config, said.append)
    return Capture(config, said)


def records(
    config: Config, topic: str, enough: Callable[[list[dict[str, Any]]], bool], deadline_s: float = ARRIVAL_S
) -> list[dict[str, Any]]:
    """The topic's decoded values from its beginning, until there are enough of them."""
    found: list[dict[str, Any]] = []
    with _consumer(config, f"{config.installation}.{topic}", deadline_s) as polled:
        decoder = Decoder(config.registry)
        for body in polled:
            _, value = decoder.decode(body, topic)
            assert isinstance(value, dict)
            found.append(value)
            if enough(found):
                return found
    raise AssertionError(f"only {len(found)} records in {topic} after {deadline_s} s: {found[-3:]}")


def rows(config: Config, table: str, count: int) -> list[tuple[str, Any, Any]]:
    """(op, before, after) of the first `count` records of a table, in the order of the log."""
    found = records(config, table, lambda values: len(values) >= count)
    found.sort(key=lambda v: (v["source"]["lsn"], (v["transaction"] or {}).get("total_order", 0)))
    return [(value["op"], value["before"], value["after"]) for value in found]


def partitions(config: Config, topic: str) -> int:
    consumer = Consumer(config.kafka.client(**{"group.id": "tests"}))
    try:
        return len(
            consumer.list_topics(f"{config.installation}.{topic}", timeout=20).topics.popitem()[1].partitions
        )
    finally:
        consumer.close()


def connect_of(config: Config) -> Connect:
    return Connect.of(config)


@contextmanager
def _consumer(config: Config, topic: str, deadline_s: float) -> Iterator[Iterator[bytes]]:
    import time

    consumer = Consumer(
        {
            **config.kafka.client(),
            "group.id": f"tests.{config.installation}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )

    def poll() -> Iterator[bytes]:
        deadline = time.monotonic() + deadline_s
        assigned = False
        while time.monotonic() < deadline:
            if not assigned:
                there = consumer.list_topics(topic, timeout=20).topics[topic].partitions
                if not there:
                    time.sleep(0.2)
                    continue
                consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in there])
                assigned = True
            message = consumer.poll(0.5)
            if message is None:
                continue
            assert message.error() is None, message.error()
            value = message.value()
            if isinstance(value, bytes):
                yield value

    try:
        yield poll()
    finally:
        consumer.close()
