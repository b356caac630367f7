from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import requests

from replicator import config
from replicator.errors import ConfigError
from replicator.telemetry import SinkMetrics
from replicator.writer.process import health
from replicator.writer.process.pool import Supervisor


@pytest.fixture
def served() -> Iterator[tuple[health.Health, SinkMetrics, str]]:
    state, metrics = health.Health(), SinkMetrics()
    server = health.serve(state, metrics, Supervisor(), "127.0.0.1", 0)
    yield state, metrics, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_it_is_alive_before_it_is_ready(served: tuple[health.Health, SinkMetrics, str]) -> None:
    state, _, url = served
    assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
    answer = requests.get(f"{url}/readyz", timeout=5)
    assert answer.status_code == 503
    assert "group" in answer.json()["problems"]
    state.progressed()
    state.joined()
    assert requests.get(f"{url}/readyz", timeout=5).status_code == 200


def test_a_trouble_is_told_until_it_is_over(served: tuple[health.Health, SinkMetrics, str]) -> None:
    state, _, url = served
    state.progressed()
    state.joined()
    state.trouble("storage", "the bucket doesn't answer")
    answer = requests.get(f"{url}/readyz", timeout=5)
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "problems": {"storage": "the bucket doesn't answer"}}
    state.trouble("storage", None)
    assert requests.get(f"{url}/readyz", timeout=5).json() == {"ready": True, "problems": {}}


def test_metrics_are_prometheus_text_and_forget_partitions_that_are_gone(
    served: tuple[health.Health, SinkMetrics, str],
) -> None:
    _, metrics, url = served
    metrics.durable_offset.labels("t", "0").set(7)
    answer = requests.get(f"{url}/metrics", timeout=5)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'replicator_sink_durable_offset{partition="0",topic="t"} 7.0' in answer.text
    metrics.forget("t", 0)
    metrics.forget("t", 1)
    assert "durable_offset{" not in requests.get(f"{url}/metrics", timeout=5).text


def test_other_paths_are_not_found(served: tuple[health.Health, SinkMetrics, str]) -> None:
    assert requests.get(f"{served[2]}/admin", timeout=5).status_code == 404


def test_an_address_that_is_taken_names_the_setting_to_change(
    served: tuple[health.Health, SinkMetrics, str],
) -> None:
    state, metrics, url = served
    settings = config.Replay(metrics_port=int(url.rpartition(":")[2]))
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+: Address already in use") as caught:
        health.serve_for("replay", settings, state, metrics, Supervisor())
    assert "replay.metrics_port" in str(caught.value.next_step)


def test_a_loop_that_stalls_says_so_in_its_own_words_until_it_goes_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now))
    loop = health.Progress("replay", "no pass ended", 600.0)
    now = 700.0
    assert loop.problems() == {}
    now = 701.0
    assert loop.problems() == {"replay": "no pass ended for 601 s"}
    loop.progressed()
    assert loop.problems() == {}
