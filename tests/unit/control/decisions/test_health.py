from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.config import Control
from replicator.control.decisions.health import Health, HealthState

SETTINGS = Control()  # down after 15 s of failures, healthy after 60 s of successes


def probed(outcomes: list[tuple[float, bool]], health: Health | None = None) -> Health:
    health = health or Health(SETTINGS, 0.0)
    for at, good in outcomes:
        if good:
            health.succeeded(at, 0.1)
        else:
            health.failed(at, "connection refused")
    return health


def test_the_first_success_makes_it_healthy_and_a_first_failure_nothing_yet() -> None:
    assert probed([(1, True)]).read().state is HealthState.HEALTHY
    assert probed([(1, False)]).read().state is HealthState.UNKNOWN


def test_it_is_down_after_failures_for_half_the_time_to_decide_and_not_before() -> None:
    health = probed([(0, True), (5, False), (10, False), (15, False)])
    assert health.read().state is not HealthState.DOWN
    reading = health.failed(20, "connection refused")
    assert reading.state is HealthState.DOWN
    assert "connection refused" in reading.reason
    assert reading.since == 20


def test_a_single_late_failure_after_a_pause_is_not_an_outage() -> None:
    assert probed([(0, True), (500, False)]).read().state is not HealthState.DOWN


def test_after_an_outage_it_has_to_be_well_for_a_minute_without_a_break() -> None:
    health = probed([(t, False) for t in range(0, 40, 5)])
    assert probed([(t, True) for t in range(40, 95, 5)], health).read().state is HealthState.DOWN
    probed([(95, False)], health)
    assert probed([(t, True) for t in range(100, 160, 5)], health).read().state is HealthState.DOWN
    assert health.succeeded(160, 0.1).state is HealthState.HEALTHY


def test_a_leader_that_takes_over_does_not_forgive_an_outage() -> None:
    health = Health(SETTINGS, 0.0, was_down=True)
    assert health.succeeded(1.0, 0.1).state is HealthState.DOWN
    assert health.succeeded(61.0, 0.1).state is HealthState.HEALTHY


def test_every_other_failure_degrades_and_one_in_many_does_not() -> None:
    assert probed([(t, t % 2 == 0) for t in range(60)]).read().state is HealthState.DEGRADED
    assert probed([(t, t % 20 != 7) for t in range(60)]).read().state is HealthState.HEALTHY


def test_a_slow_one_is_degraded_until_it_is_clearly_faster() -> None:
    health = Health(SETTINGS, 0.0)
    for at in range(20):
        health.succeeded(at, 8.0)
    assert health.read().state is HealthState.DEGRADED
    for at in range(20, 24):
        health.succeeded(at, 4.5)
    assert health.read().state is HealthState.DEGRADED, "below the bound, but not clearly"
    for at in range(24, 60):
        health.succeeded(at, 0.5)
    assert health.read().state is HealthState.HEALTHY


def test_a_slow_cold_connection_is_no_state() -> None:
    health = Health(SETTINGS, 0.0)
    assert health.failed(5, "no answer for 5 s", late=True).state is HealthState.UNKNOWN
    reading = health.succeeded(9, 9.0)
    assert (reading.state, reading.success) == (HealthState.HEALTHY, 1.0)
    assert "the first probe took 9.0 s" in reading.reason
    reading = health.succeeded(10, 0.1)
    assert (reading.state, reading.latency_s) == (HealthState.HEALTHY, 0.1)


def test_the_second_slow_probe_is_a_state_and_so_is_a_refusal_at_the_start() -> None:
    health = Health(SETTINGS, 0.0)
    health.succeeded(9, 9.0)
    assert health.succeeded(18, 9.0).state is HealthState.DEGRADED
    refused = Health(SETTINGS, 0.0)
    refused.failed(0, "connection refused")
    assert refused.succeeded(5, 0.1).state is HealthState.DEGRADED


def test_a_first_probe_that_never_answers_is_down_in_time() -> None:
    health = Health(SETTINGS, 0.0)
    states = [health.failed(at, "no answer", late=True).state for at in (5, 10, 15, 20)]
    assert states[-1] is HealthState.DOWN


@given(st.lists(st.tuples(st.floats(0.5, 30), st.booleans()), max_size=300))
def test_it_never_leaves_down_before_its_time(steps: list[tuple[float, bool]]) -> None:
    health, now = Health(SETTINGS, 0.0), 0.0
    last_failure = down_since = 0.0
    state = health.read().state
    for pause, good in steps:
        now += pause
        if not good:
            last_failure = now
        reading = health.succeeded(now, 0.1) if good else health.failed(now, "x")
        if state is HealthState.DOWN and reading.state is not HealthState.DOWN:
            assert now - last_failure >= SETTINGS.healthy_after_s
            assert now - down_since >= SETTINGS.healthy_after_s
        if state is not HealthState.DOWN and reading.state is HealthState.DOWN:
            down_since = now
        state = reading.state
