"""A Debezium connector with the fewest settings that capture anything, and its records decoded.

The stack's own tests use it instead of the product's connector configuration: they are about the stack.
"""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from typing import Any

import fastavro
import requests
from confluent_kafka import Consumer, TopicPartition

from deploy.local.endpoints import Endpoints
from deploy.local.waiting import wait_for
from tests.source_database import SourceDatabase

_START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Captured:
    """One record: its topic, the schema ids that its key and value name, and both decoded."""

    topic: str
    key_id: int
    value_id: int
    key: Any
    value: Any


def start_connector(endpoints: Endpoints, database: SourceDatabase, converter: str | None = None) -> None:
    """Capture all tables of the database; returns when the connector's task runs."""
    name = database.installation
    postgres = endpoints.postgres
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": postgres.host,
        "database.port": str(postgres.port),
        "database.user": postgres.user,
        "database.password": postgres.password,
        "database.dbname": database.name,
        "topic.prefix": name,
        "slot.name": name,
        "publication.name": name,
        "publication.autocreate.mode": "all_tables",
        "exactly.once.support": "required",
        "transaction.boundary": "poll",
        "provide.transaction.metadata": "true",
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": "1",
        "poll.interval.ms": "50",
    }
    for side in ("key", "value"):
        config[f"{side}.converter"] = converter or endpoints.converter.class_name
        config |= {f"{side}.converter.{key}": text for key, text in endpoints.converter.settings.items()}
    answer = requests.put(f"{endpoints.connect.url}/connectors/{name}/config", json=config, timeout=60)
    assert answer.status_code == 201, answer.text

    def missing() -> str | None:
        status = requests.get(f"{endpoints.connect.url}/connectors/{name}/status", timeout=10).json()
        tasks = status.get("tasks") or [{"state": "not there yet"}]
        assert tasks[0]["state"] != "FAILED", tasks[0].get("trace")
        return None if tasks[0]["state"] == "RUNNING" else f"its task is {tasks[0]['state']}"

    wait_for(f"connector {name}", missing, _START_SECONDS)


def records(endpoints: Endpoints, topic: str, count: int, timeout: float = 60.0) -> list[Captured]:
    """Return the first `count` committed records of the one-partition topic, decoded by their schemas."""
    consumer = Consumer(
        {
            "bootstrap.servers": endpoints.kafka.bootstrap_servers,
            "group.id": f"{topic}.read",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    try:
        wait_for(
            f"topic {topic}",
            lambda: None if topic in consumer.list_topics(timeout=10).topics else "it isn't there",
            timeout,
        )
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[Captured] = []
        deadline = time.monotonic() + timeout
        while len(found) < count and time.monotonic() < deadline:
            for message in consumer.consume(count - len(found), timeout=0.5):
                assert message.error() is None, message.error()
                key_id, key = _decoded(endpoints, message.key())
                value_id, value = _decoded(endpoints, message.value())
                found.append(Captured(topic, key_id, value_id, key, value))
        assert len(found) == count, f"{len(found)} of {count} records in {topic} after {timeout:.0f} s"
        return found
    finally:
        consumer.close()


def schema_text(endpoints: Endpoints, schema_id: int) -> str:
    """Return the schema that the id names in Confluent's API."""
    answer = requests.get(f"{endpoints.registry.url}/schemas/ids/{schema_id}", timeout=10)
    assert answer.status_code == 200, f"schema id {schema_id}: {answer.status_code} {answer.text}"
    return str(answer.json()["schema"])


def _decoded(endpoints: Endpoints, wire: bytes | None) -> tuple[int, Any]:
    assert wire is not None
    assert wire[0] == 0, "not in Confluent's wire format"
    schema_id = int.from_bytes(wire[1:5], "big")
    schema = fastavro.parse_schema(json.loads(schema_text(endpoints, schema_id)))
    body = io.BytesIO(wire[5:])
    decoded = fastavro.schemaless_reader(body, schema, None)
    assert body.read() == b"", (
        f"bytes were left over after decoding by schema {schema_id}: it isn't the record's"
    )
    return schema_id, decoded
