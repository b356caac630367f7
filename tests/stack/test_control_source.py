"""Control over a real capture: PostgreSQL, Debezium, Connect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from deploy.local.endpoints import Endpoints
from replicator.config import load
from replicator.debezium.envelope import parse_lsn
from replicator.points import stored
from replicator.points.point import RestorePoint
from replicator.points.signature import Keys
from replicator.source.connect_api import Connect
from replicator.storage import ObjectStore, open_store
from tests.faults import chains
from tests.faults.capture import Capture, captured
from tests.faults.sinks import Process, Sink
from tests.stack.controlled import SOON

RUNNING = "replicator_connector_running"
STOPPED = 'replicator_alerts{name="connector_stopped"}'
SILENT = 'replicator_alerts{name="connector_silent"}'


@pytest.fixture
def capture(stack: Endpoints, tmp_path: Path) -> Iterator[Capture]:
    with captured(stack, tmp_path / "captured") as made:
        yield made
        admin = AdminClient({"bootstrap.servers": made.bootstrap})
        for future in admin.delete_topics([f"replicator.{made.name}.control"]).values():
            future.exception(30)


def test_a_point_over_a_real_capture_is_true_and_a_stopped_connector_is_told(
    capture: Capture, tmp_path: Path
) -> None:
    path = tmp_path / "primary"
    path.mkdir()
    config = capture.write_config(
        "control",
        destinations={"primary": {"type": "file", "path": str(path)}},
        sink={"max_age_s": 0.5},
        control={"unsigned": True, "silent_after_s": 7.0, **SOON},
    )
    settings = load(config)
    store = open_store(settings.destination("primary"))
    keys = Keys(settings.control)
    with Process(config, "control") as control, Sink(config, "primary"):
        capture.settle()
        with psycopg.connect(capture.dsn) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert row is not None
        committed = parse_lsn(row[0])
        control.until(
            f"a point beyond {row[0]}", lambda: None if _newest(store, keys, committed) else "there is none"
        )
        point = _newest(store, keys, committed)
        assert point is not None
        ends = {(end.topic, end.partition): end.end for end in point.ends}
        assert f"{capture.name}.transaction" in {topic for topic, _ in ends}
        assert chains.behind(store, ends) is None, "the point says that all of it is durable"
        assert control.metrics()['replicator_rpo_seconds{destination="primary"}'] < 60

        control.until("the connector to be seen", lambda: None if control.metrics().get(RUNNING) else "no")
        assert control.metrics().get("replicator_slot_retained_wal_bytes") is not None
        connect = Connect.of(settings)
        connect.pause(capture.name)
        control.until("the alert", lambda: None if control.metrics().get(STOPPED) == 1 else "none")
        connect.resume(capture.name)
        control.until("its end", lambda: None if control.metrics().get(STOPPED) == 0 else "it stands")
        # It runs, and waits for a lock: no other state of Connect's tells that.
        with psycopg.connect(capture.dsn) as connection:
            connection.execute("LOCK TABLE replicator.heartbeat")
            control.until("the silence", lambda: None if control.metrics().get(SILENT) == 1 else "none")
            assert control.metrics().get(RUNNING) == 1
        control.until("its end", lambda: None if control.metrics().get(SILENT) == 0 else "it stands")
        told = capture.replicator(config, "status", check=False)
        assert "primary" in told.stdout and "1 copies, kept" in told.stdout, told.stdout + told.stderr


def _newest(store: ObjectStore, keys: Keys, beyond: int) -> RestorePoint | None:
    points = [stored.read(store, key, keys, "primary") for key in list(stored.names(store))[-1:]]
    return next((point for point in points if point.lsn >= beyond), None)
