"""Verification on a schedule, with real damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.endpoints import Endpoints
from replicator.control import status
from replicator.storage import open_store
from tests.faults import chains
from tests.stack.controlled import Controlled, controlled


@pytest.fixture
def installation(stack: Endpoints, tmp_path: Path) -> Iterator[Controlled]:
    with controlled(stack, tmp_path / "controlled") as made:
        yield made


def test_a_segment_that_was_deleted_is_found_and_told_until_it_is_back(installation: Controlled) -> None:
    config = installation.config({"primary": installation.directory_of("primary")}, verify_every_h=3.0 / 3600)
    store = open_store(installation.settings(config).destination("primary"))
    for _ in range(3):
        installation.commit(40)
    damaged = 'replicator_alerts{name="damaged"}'
    with installation.control(config) as control, installation.sink(config, "primary") as sink:
        ends = installation.raw.ends()
        sink.until("all to be stored", lambda: chains.behind(store, ends), 60)
        control.until(
            "a verification that finds nothing",
            lambda: None if _verified(installation, config) else "there was none",
        )
        control.until("no alert", lambda: None if control.metrics().get(damaged) == 0 else "there is one")
        segment = next(info.key for info in store.list("v1/changes/"))
        body = store.get(segment)
        path = Path(installation.directory_of("primary")["path"]) / segment
        path.unlink()
        control.until(
            "the damage to be told", lambda: None if control.metrics().get(damaged) == 1 else "it isn't"
        )
        path.write_bytes(body)
        control.until(
            "the damage to be over", lambda: None if control.metrics().get(damaged) == 0 else "it isn't"
        )
    events = installation.events(config)
    [alert] = [event for event in events if event["kind"] == "alert" and event["subject"] == "damaged"]
    assert alert["destination"] == "primary"
    assert "1 missing" in alert["reason"]
    assert any(event["kind"] == "alert_over" and event["subject"] == "damaged" for event in events)


def _verified(installation: Controlled, config: Path) -> list[dict[str, Any]]:
    return [event for event in installation.events(config) if event["kind"] == "verified"]


def test_a_drill_that_does_not_pass_is_told_and_alerted(installation: Controlled) -> None:
    """Held by a leader in a process of its own, as soon as there is a restore point."""
    config = installation.config({"primary": installation.directory_of("primary")})
    document = yaml.safe_load(config.read_text())
    document["source"]["dsn"] = "host=127.0.0.1 port=9 user=nobody dbname=nowhere"
    config.write_text(yaml.safe_dump({**document, "drill": {"every_h": 1}}))
    installation.commit(40)
    with installation.control(config) as control, installation.sink(config, "primary"):
        control.until(
            "the drill to be told",
            lambda: (
                None if control.metrics().get('replicator_alerts{name="drill_failed"}') == 1 else "it isn't"
            ),
        )
        assert control.metrics()["replicator_drill_passed"] == 0
    # What control told stands in its topic, and whoever asks for the status reads it there.
    drilled = status.read(installation.settings(config)).drill
    assert drilled is not None
    assert (drilled["state"], drilled["passed"]) == ("broken", 0.0)
    events = installation.events(config)
    [held] = [event for event in events if event["kind"] == "drilled"]
    assert (held["subject"], held["facts"]["passed"]) == ("broken", 0.0)
    assert "The source can't be asked" in held["reason"]
    [alert] = [event for event in events if event["kind"] == "alert" and event["subject"] == "drill_failed"]
    assert "The source can't be asked" in alert["reason"]
