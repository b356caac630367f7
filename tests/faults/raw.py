"""An installation without a database: topics that a test writes to itself, right or wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import requests
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from deploy.local.endpoints import Endpoints
from tests.faults import topics
from tests.faults.capture import Capture

VALUE = {
    "type": "record",
    "name": "Envelope",
    "namespace": "raw",
    "fields": [{"name": "n", "type": "long"}, {"name": "text", "type": "string"}],
}
KEY = {"type": "record", "name": "Key", "namespace": "raw", "fields": [{"name": "n", "type": "long"}]}


class RawInstallation(Capture):
    """Topics of a fresh installation name, with a producer and schemas registered for them."""

    def __init__(self, endpoints: Endpoints, directory: Path) -> None:
        super().__init__(endpoints, directory)
        self._admin_client = AdminClient({"bootstrap.servers": self.bootstrap})
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5})
        self.value_id = self.register(f"{self.name}-value", VALUE)
        self.key_id = self.register(f"{self.name}-key", KEY)

    def topic(self, table: str) -> str:
        return f"{self.name}.public.{table}"

    def create(self, *tables: str, partitions: int = 1) -> None:
        self._done(self._admin_client.create_topics([NewTopic(self.topic(t), partitions, 1) for t in tables]))

    def delete(self, table: str) -> None:
        self._done(self._admin_client.delete_topics([self.topic(table)]))

    def delete_records(self, table: str, before: int) -> None:
        """Make Kafka forget what lies below the offset, as retention does."""
        self._done(self._admin_client.delete_records([TopicPartition(self.topic(table), 0, before)]))

    def exists(self, table: str) -> bool:
        return self.topic(table) in topics.of_installation(self.bootstrap, self.name)

    def produce(self, table: str, count: int, *, first: int = 0, value_id: int | None = None) -> None:
        """`count` good records, or such that name another schema id."""
        for n in range(first, first + count):
            self._send(table, self.key(n), self.value(n, value_id))
        self._flush()

    def produce_bytes(self, table: str, value: bytes, key: bytes | None = None) -> None:
        self._send(table, self.key(0) if key is None else key, value)
        self._flush()

    def key(self, n: int) -> bytes:
        return _wire(self.key_id, KEY, {"n": n})

    def value(self, n: int, value_id: int | None = None) -> bytes:
        number = self.value_id if value_id is None else value_id
        return _wire(number, VALUE, {"n": n, "text": f"record {n} " + "x" * (n % 200)})

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        answer = requests.post(
            f"{self.endpoints.registry.url}/subjects/{subject}/versions",
            json={"schema": json.dumps(schema)},
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
            timeout=30,
        )
        answer.raise_for_status()
        return int(answer.json()["id"])

    def ends(self) -> topics.Ends:
        return topics.ends(self.bootstrap, self.name)

    def remove(self) -> None:
        names = topics.of_installation(self.bootstrap, self.name)
        if names:
            with suppress(KafkaException):
                self._done(self._admin_client.delete_topics(names))

    def _send(self, table: str, key: bytes, value: bytes) -> None:
        self._producer.produce(self.topic(table), key=key, value=value, partition=0)
        self._producer.poll(0)

    def _flush(self) -> None:
        left = self._producer.flush(30)
        assert left == 0, f"Kafka took all but {left} records"

    @staticmethod
    def _done(futures: dict[Any, Any]) -> None:
        for future in futures.values():
            future.result(30)


def _wire(number: int, schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), record)
    return b"\x00" + number.to_bytes(4, "big") + body.getvalue()


@contextmanager
def raw_installation(endpoints: Endpoints, directory: Path) -> Iterator[RawInstallation]:
    directory.mkdir(parents=True, exist_ok=True)
    made = RawInstallation(endpoints, directory)
    try:
        yield made
    finally:
        made.remove()
