"""What a term of office leaves behind, and where its restore points may go."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from replicator.config import Config
from replicator.control.decisions.reach import Candidate, End
from replicator.control.tasks.completing import Completer
from replicator.control.tasks.lanes import Lanes
from replicator.control.tasks.publishing import Author, Publisher
from replicator.control.tasks.verifying import Verifier
from replicator.deadletter.box import Box
from replicator.points import Signer
from replicator.segment.name import Chain
from replicator.storage.memory import MemoryStore
from replicator.telemetry import ControlMetrics
from replicator.writer.destination import mark
from replicator.writer.process.pool import Supervisor

DEADLINE_S = 10.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        "registry": {"url": "http://127.0.0.1:9"},
        "source": {"dsn": "postgresql:///x", "connect_url": "http://127.0.0.1:9"},
        "destinations": {name: {"type": "file", "path": str(tmp_path / name)} for name in ("a", "b")},
        "control": {"unsigned": True},
    }
    return Config(installation="w", **sections)


def author(config: Config) -> Author:
    return Author("w", "cluster", 1, Signer(config.control))


def test_a_term_that_ended_leaves_no_thread(config: Config) -> None:
    before = set(threading.enumerate())
    supervisor = Supervisor()
    parts = (
        Lanes(config, author(config), ControlMetrics(), supervisor),
        Completer(config, supervisor),
        Verifier(config, supervisor),
    )
    mine = set(threading.enumerate()) - before
    assert {thread.name for thread in mine} >= {"points-a-0", "points-b-0", "complete-standby-0", "verify-0"}
    for part in parts:
        part.close()
    for thread in mine:
        thread.join(DEADLINE_S)
    assert not [thread.name for thread in mine if thread.is_alive()]


def test_no_point_goes_into_a_place_that_is_another_destination(config: Config) -> None:
    store = MemoryStore()
    mark(store, "w", "cluster", lambda: False, name="a")
    publisher = Publisher(
        "b", author(config), lambda: store, lambda: Box("letters"), 60.0, Supervisor(), others=["a", "b"]
    )
    ended = threading.Event()
    candidate = Candidate(End(100, 1, 1, 1), {Chain("w.t", "A" * 22, 0): 1}, 1.0)
    with capture_logs() as logs:
        publisher.offer(candidate, None, 0.0)
        publisher._pool.submit(ended.set)
        assert ended.wait(DEADLINE_S), "the publisher's thread is stuck"
    publisher.close()
    assert publisher.stored() is None
    assert not list(store.list("v1/points/"))
    assert any("destination 'a' of this installation already" in str(each.get("error")) for each in logs)
