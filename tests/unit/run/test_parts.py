"""The pure parts: which roles, when they are started again, how lines and figures are put together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from replicator.config import Config, Run
from replicator.errors import ConfigError
from replicator.supervisor.fate import Fate, Stage
from replicator.supervisor.figures import merged
from replicator.supervisor.lines import prefixed, with_role
from replicator.supervisor.roles import Wishes, roles_of


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Config]:
    def make(**sections: Any) -> Config:
        return Config(
            **{
                "installation": "weddings",
                "kafka": {"bootstrap_servers": "127.0.0.1:9"},
                "registry": {"url": "http://127.0.0.1:9"},
                "source": {"dsn": "postgresql:///x", "connect_url": "http://127.0.0.1:9"},
                "destinations": {
                    name: {"type": "file", "path": str(tmp_path / name)} for name in ("primary", "second")
                },
                **sections,
            }
        )

    return make


def names(config: Config, **instances: int) -> list[str]:
    return [role.name for role in roles_of(config, Wishes(instances))]


def test_each_destination_has_a_sink_and_there_is_control(config: Callable[..., Config]) -> None:
    assert {"sink:primary:1", "sink:second:1", "control"} <= set(names(config()))


def test_instances_come_from_the_configuration_and_the_command_line_wins(
    config: Callable[..., Config],
) -> None:
    settings = config(run={"instances": {"primary": 3, "second": 0}, "control": False})
    sinks = [name for name in names(settings) if name.startswith("sink:")]
    assert sinks == ["sink:primary:1", "sink:primary:2", "sink:primary:3"]
    assert "sink:second:1" in names(settings, second=1, primary=0)


def test_instances_of_a_destination_that_is_not_there_are_refused(config: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match="no destination named 'third'"):
        names(config(), third=1)


def test_sinks_are_told_to_accept_unproven_values_only_when_asked(config: Callable[..., Config]) -> None:
    def sink(wishes: Wishes) -> tuple[str, ...]:
        return next(r.arguments for r in roles_of(config(), wishes) if r.name == "sink:primary:1")

    assert sink(Wishes({})) == ("sink", "primary")
    assert sink(Wishes({}, accept_unproven_values=True)) == ("sink", "primary", "--accept-unproven-values")


@given(st.lists(st.tuples(st.integers(-15, 1), st.floats(0, 200)), max_size=60), st.integers())
def test_waits_grow_have_a_bound_and_begin_anew_after_a_steady_run(
    ends: list[tuple[int, float]], seed: int
) -> None:
    settings, now = Run(backoff_s=1, backoff_max_s=60, steady_s=60), 0.0
    fate, run_of_short = Fate(settings, Random(seed), now), 0
    for status, ran_s in ends:
        assert fate.due(now)
        fate.started(now)
        began, now = now, now + ran_s
        fate.ended(status, now)
        # By the clock: of a sum of floats the difference isn't the summand.
        run_of_short = 1 if now - began >= 60 else run_of_short + 1
        assert fate.stage is Stage.WAITING
        assert 0 <= fate.due_at - now <= min(60, 2 ** (run_of_short - 1))
        now = max(now, fate.due_at)


def test_waits_have_full_jitter() -> None:
    def wait(seed: int) -> float:
        fate = Fate(Run(backoff_s=10), Random(seed), 0.0)
        fate.started(0.0)
        fate.ended(1, 0.0)
        return fate.due_at

    waits = [wait(seed) for seed in range(200)]
    assert min(waits) < 1 and max(waits) > 9


def test_a_refused_configuration_is_tried_three_times_running() -> None:
    fate = Fate(Run(), Random(1), 0.0)
    for status, stage in [
        (2, Stage.WAITING),
        (2, Stage.WAITING),
        (1, Stage.WAITING),
        (2, Stage.WAITING),
        (2, Stage.WAITING),
        (2, Stage.GIVEN_UP),
    ]:
        fate.started(0.0)
        fate.ended(status, 0.0)
        assert fate.stage is stage
    assert not fate.due(1e9)
    fate.retry(5.0)
    assert fate.due(5.0)


def test_nothing_is_started_again_once_everything_ends() -> None:
    waiting, running = Fate(Run(), Random(1), 0.0), Fate(Run(), Random(1), 0.0)
    running.started(0.0)
    for fate in (waiting, running):
        fate.end()
        fate.retry(1.0)
    running.ended(-9, 1.0)
    assert waiting.stage is running.stage is Stage.ENDED
    assert not waiting.due(1e9) and not running.due(1e9)


def test_json_lines_get_their_role_and_other_lines_become_json() -> None:
    told = json.loads(with_role("control", '{"event": "leads", "epoch": 3}', "now"))
    assert told == {"event": "leads", "epoch": 3, "role": "control"}
    for line in ("Traceback (most recent call last):", "{broken", "[1]", ""):
        told = json.loads(with_role("control", line, "now"))
        assert told == {"event": line, "level": "error", "timestamp": "now", "role": "control"}


def test_lines_for_people_stand_behind_their_roles() -> None:
    assert prefixed("control", "leads", width=9) == "control   │ leads"
    assert prefixed("control", "leads", colour=0).startswith("\x1b[36mcontrol │\x1b[0m leads")


def page(value: float) -> str:
    registry = CollectorRegistry()
    Gauge("lag", "Lag.", ("topic",), registry=registry).labels('a"b}\\,c="d').set(value)
    Counter("put", "Puts.", registry=registry).inc(value)
    Histogram("took", "Seconds.", ("destination",), buckets=(1, 2), registry=registry).labels("own").observe(
        value
    )
    return generate_latest(registry).decode()


def test_pages_are_merged_without_losing_or_mixing_a_sample() -> None:
    pages = [
        ((("role", "sink"), ("destination", 'x"y')), page(1)),
        ((("role", "sink"), ("destination", "z")), page(2)),
    ]
    text = merged(pages).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    wanted = [
        sample for _, each in pages for f in text_string_to_metric_families(each) for sample in f.samples
    ]
    assert sum(len(f.samples) for f in families.values()) == len(wanted)
    assert text.count("# TYPE took histogram") == 1
    lag = {sample.labels["destination"]: sample for sample in families["lag"].samples}
    assert {name: sample.value for name, sample in lag.items()} == {'x"y': 1.0, "z": 2.0}
    assert lag["z"].labels["topic"] == 'a"b}\\,c="d'
    # Two pages that tell of the same subject under its own label are told apart by nothing: control is one.
    assert {sample.labels["destination"] for sample in families["took"].samples} == {"own"}
