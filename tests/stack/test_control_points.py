"""Restore points on a real Kafka: published when they are true, believed when they are genuine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from replicator.points import Keys, stored
from replicator.storage import open_store
from tests.stack.controlled import Controlled, controlled


@pytest.fixture
def installation(stack: Endpoints, tmp_path: Path) -> Iterator[Controlled]:
    with controlled(stack, tmp_path / "controlled") as made:
        yield made


def test_a_point_is_published_when_the_destination_has_everything_and_not_before(
    installation: Controlled,
) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    settings = installation.settings(config)
    store = open_store(settings.destination("primary"))
    lsn = installation.commit()
    with installation.control(config) as control:
        control.until("the lane's lag to be seen", lambda: None if _lag(control.metrics()) else "no lag")
        assert not list(stored.names(store)), "nothing is durable, and no point may say so"
        with installation.sink(config, "primary"):
            control.until("a restore point", lambda: None if list(stored.names(store)) else "there is none")
            [key, *_] = stored.names(store)
            point = stored.read(store, key, Keys(settings.control), "primary")
            assert point.lsn == lsn
            later = installation.commit()
            control.until(
                "the next point to be told to the topic",
                lambda: (
                    None
                    if control.metrics().get('replicator_restore_point_lsn{destination="primary"}') == later
                    else "it isn't"
                ),
            )
            rpo = control.metrics()['replicator_rpo_seconds{destination="primary"}']
            assert 0 <= rpo < 60
    points = [json.loads(line) for line in _points(installation, config).stdout.splitlines()]
    assert [point["believed"] for point in points] == [True] * len(points)
    assert len(points) >= 2


def test_a_forged_point_is_refused_by_its_name(installation: Controlled) -> None:
    config = installation.config({"primary": installation.directory_of("primary")})
    store = open_store(installation.settings(config).destination("primary"))
    installation.commit()
    with installation.control(config) as control, installation.sink(config, "primary"):
        control.until("a restore point", lambda: None if list(stored.names(store)) else "there is none")
    [key, *_] = stored.names(store)
    genuine = json.loads(store.get(key))
    genuine["point"]["ends"][0]["end"] += 1_000_000
    store.delete(key)
    body = json.dumps(genuine).encode()
    import hashlib

    store.put(key, body, sha256=hashlib.sha256(body).hexdigest())
    done = _points(installation, config, check=False)
    assert done.returncode == 5, done.stderr
    verdicts = {each["key"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert verdicts[key]["believed"] is False
    assert "altered" in verdicts[key]["why"]


def _lag(metrics: dict[str, float]) -> float:
    return metrics.get('replicator_lane_lag_records{destination="primary"}', 0.0)


def _points(installation: Controlled, config: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return installation.raw.replicator(config, "points", "list", "primary", "--json", check=check)
