"""An installation that control looks after: topics written by hand, destinations, and processes to kill."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from deploy.local.endpoints import Endpoints
from replicator.config import Config, load
from replicator.points import new_key
from tests.faults.raw import RawInstallation, _wire
from tests.faults.sinks import Process, Sink

TRANSACTION = {
    "type": "record",
    "name": "TransactionMetadataValue",
    "namespace": "io.debezium.connector.common",
    "fields": [
        {"name": "status", "type": "string"},
        {"name": "id", "type": "string"},
        {"name": "event_count", "type": ["null", "long"], "default": None},
        {"name": "ts_ms", "type": "long"},
    ],
}
SOON = {
    "decide_within_s": 6.0,
    "healthy_after_s": 2.0,
    "write_probe_every_s": 2.0,
    "stalled_after_s": 20.0,
    "min_active_s": 2.0,
    "release_after_s": 2.0,
    "caught_up_s": 30.0,
    "point_every_s": 0.5,
    "watch_every_s": 2.0,
}


class Controlled:
    """A raw installation with destinations and a signing key."""

    def __init__(self, raw: RawInstallation, directory: Path) -> None:
        self.raw = raw
        self.directory = directory
        self.key = directory / "signing.pem"
        self.key.write_text(new_key())
        self._transaction_id = raw.register(f"{raw.name}-transaction", TRANSACTION)
        self._producer = Producer({"bootstrap.servers": raw.bootstrap, "linger.ms": 5})
        self._xid = 700
        admin = AdminClient({"bootstrap.servers": raw.bootstrap})
        for future in admin.create_topics([NewTopic(self._topic, 1, 1)]).values():
            future.result(30)
        raw.create("guests", partitions=2)

    @property
    def _topic(self) -> str:
        return f"{self.raw.name}.transaction"

    def directory_of(self, name: str) -> dict[str, Any]:
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return {"type": "file", "path": str(path)}

    def config(self, destinations: dict[str, Any], **control: Any) -> Path:
        return self.raw.write_config(
            f"control-{uuid4().hex[:6]}",
            destinations=destinations,
            sink={"segment_bytes": 128 * 1024, "max_age_s": 0.5, "drain_deadline_s": 10.0},
            control={"signing_key": f"${{file:{self.key}}}", **SOON, **control},
        )

    def settings(self, config: Path) -> Config:
        return load(config)

    def commit(self, rows: int = 5) -> int:
        """A transaction as Debezium tells it; its LSN."""
        self._xid += 1
        begin = self._xid * 1000
        self.raw.produce("guests", rows)
        for status, lsn in (("BEGIN", begin), ("END", begin + 999)):
            record = {
                "status": status,
                "id": f"{self._xid}:{lsn}",
                "event_count": rows if status == "END" else None,
                "ts_ms": int(time.time() * 1000),
            }
            self._producer.produce(self._topic, _wire(self._transaction_id, TRANSACTION, record))
        assert self._producer.flush(30) == 0
        return begin + 999

    def control(self, config: Path) -> Process:
        return Process(config, "control")

    def sink(self, config: Path, destination: str) -> Sink:
        return Sink(config, destination)

    def events(self, config: Path) -> list[dict[str, Any]]:
        """What `replicator events --json` prints."""
        done = self.raw.replicator(config, "events", "--json")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def remove(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.raw.bootstrap})
        for future in admin.delete_topics([f"replicator.{self.raw.name}.control"]).values():
            future.exception(30)


@contextmanager
def controlled(endpoints: Endpoints, directory: Path) -> Iterator[Controlled]:
    """An installation of its own; its topics go afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    raw = RawInstallation(endpoints, directory)
    made = Controlled(raw, directory)
    try:
        yield made
    finally:
        made.remove()
        raw.remove()
