"""Failover in simulated time: days of random outages, and whether the promise was kept."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replicator.config import Control, Policy
from replicator.control.decisions.decide import on_duty
from replicator.control.decisions.health import HealthState
from replicator.control.events.event import Event, Kind
from tests.unit.control.simulated import RATE, TICK_S, World

CONTROL = Control(min_copies=2)
POLICIES = {
    "aws": Policy(),
    "azure": Policy(),
    "gcs": Policy(role="standby", priority=2),
    "b2": Policy(role="standby", priority=1),
}


def world(control: Control = CONTROL) -> World:
    made = World(POLICIES, control)
    run(made, 100)
    return made


def run(made: World, seconds: float) -> None:
    for _ in range(int(seconds / TICK_S)):
        made.tick()


def kinds(made: World, kind: Kind) -> list[Event]:
    return [event for event in made.decided if event.kind == kind]


def test_nothing_is_activated_while_the_promise_is_kept() -> None:
    made = world()
    assert not kinds(made, Kind.ACTIVATED)
    assert made.state.broken is None


def test_a_hard_failure_is_decided_within_thirty_seconds_from_the_last_committed_offset() -> None:
    made = world()
    made.buckets["azure"].up = False
    failed_at, committed = made.now, made.buckets["azure"].committed
    run(made, 60)
    [activated] = kinds(made, Kind.ACTIVATED)
    assert activated.at_ms / 1000 - failed_at <= 30
    assert activated.destination == "gcs", "it has the higher priority"
    assert [each.offset for each in activated.offsets] == [committed]
    assert "azure" in activated.reason and "refused" in activated.reason
    assert kinds(made, Kind.PROMISE_BROKEN) and kinds(made, Kind.PROMISE_KEPT)


def test_the_next_standby_is_taken_when_the_first_one_fails_too() -> None:
    made = world()
    made.buckets["azure"].up = False
    run(made, 60)
    made.buckets["gcs"].up = False
    run(made, 60)
    assert [event.destination for event in kinds(made, Kind.ACTIVATED)] == ["gcs", "b2"]


def test_a_standby_without_a_running_sink_is_not_counted_for_ever() -> None:
    made = world()
    made.buckets["gcs"].sink_runs = False
    made.buckets["azure"].up = False
    run(made, 60 + CONTROL.stalled_after_s)
    assert [event.destination for event in kinds(made, Kind.ACTIVATED)] == ["gcs", "b2"]


def test_a_standby_is_released_when_the_promise_was_kept_without_it_for_long_enough() -> None:
    made = world()
    made.buckets["azure"].up = False
    run(made, 300)
    made.buckets["azure"].up = True
    back_at = made.now
    run(made, 3600)
    [released] = kinds(made, Kind.RELEASED)
    assert released.destination == "gcs"
    assert released.at_ms / 1000 - back_at >= CONTROL.healthy_after_s + CONTROL.release_after_s
    assert on_duty(made.state, POLICIES) == ["aws", "azure"]


def test_a_short_outage_does_not_end_the_duty_before_its_time() -> None:
    made = world()
    made.buckets["azure"].up = False
    run(made, 40)
    made.buckets["azure"].up = True
    run(made, 3600)
    [activated], [released] = kinds(made, Kind.ACTIVATED), kinds(made, Kind.RELEASED)
    assert released.at_ms - activated.at_ms >= CONTROL.min_active_s * 1000


def test_a_new_leader_decides_nothing_on_ignorance_and_still_in_time() -> None:
    made = world()
    made.buckets["azure"].up = False
    made.lead()
    took_over = made.now
    run(made, 60)
    [activated] = kinds(made, Kind.ACTIVATED)
    assert 10 < activated.at_ms / 1000 - took_over <= 30


def test_a_destination_that_lags_does_not_let_a_standby_go() -> None:
    made = world(Control(min_copies=2, min_active_s=0, release_after_s=0, healthy_after_s=0))
    made.buckets["azure"].up = False
    run(made, 36_000)
    made.buckets["azure"].up = True
    run(made, 10)
    assert made.seen["azure"].health is HealthState.HEALTHY
    assert not kinds(made, Kind.RELEASED), "it is healthy, and hours behind"


@pytest.mark.parametrize("copied", [False, True])
def test_a_release_says_whether_the_copy_stays_incomplete(copied: bool) -> None:
    made = world()
    made.buckets["azure"].up = False
    run(made, 300)
    [activated] = kinds(made, Kind.ACTIVATED)
    if copied:
        made._write(Event(Kind.COPIED, made._ms(), "c", destination=activated.destination))
    made.buckets["azure"].up = True
    run(made, 7200)
    [released] = kinds(made, Kind.RELEASED)
    assert ("STAYS INCOMPLETE" in released.reason) is not copied
    assert released.facts["copied"] == float(copied)
    assert released.facts["served_s"] > 0


def test_a_quiet_source_does_not_keep_a_standby_on_duty() -> None:
    made = world()
    made.buckets["azure"].up = False
    run(made, 300)
    made.buckets["azure"].up = True
    run(made, 300)
    made.quiet = True
    run(made, 3600)
    assert kinds(made, Kind.RELEASED), "it has everything that there is, however old that is"


def test_paused_nothing_is_decided_but_the_broken_promise_is_told() -> None:
    made = world()
    made._write(Event(Kind.PAUSED, made._ms(), "ann"))
    made.buckets["azure"].up = False
    run(made, 120)
    assert not kinds(made, Kind.ACTIVATED)
    assert kinds(made, Kind.PROMISE_BROKEN)
    made._write(Event(Kind.RESUMED, made._ms(), "ann"))
    run(made, 10)
    assert kinds(made, Kind.ACTIVATED)


def test_what_people_activated_only_people_release() -> None:
    made = world()
    asked = Event(Kind.ASKED, made._ms(), "ann", "migration", "gcs", "activate")
    made.ask(asked)
    made._write(Event(Kind.ACTIVATED, made._ms(), "c", destination="gcs", answers=asked.id))
    run(made, 7200)
    assert not kinds(made, Kind.RELEASED)
    made._write(Event(Kind.RESUMED, made._ms(), "ann"))
    run(made, 10)
    assert [event.destination for event in kinds(made, Kind.RELEASED)] == ["gcs"]


def test_what_people_released_is_not_activated_by_itself() -> None:
    made = world()
    asked = Event(Kind.ASKED, made._ms(), "ann", "its bucket is being moved", "gcs", "release")
    made.ask(asked)
    made._write(Event(Kind.RELEASED, made._ms(), "c", destination="gcs", answers=asked.id))
    made.buckets["azure"].up = False
    run(made, 60)
    assert [event.destination for event in kinds(made, Kind.ACTIVATED)] == ["b2"]


def judge(made: World, control: Control) -> None:
    """What must hold of every history, whatever failed when."""
    last: dict[tuple[str, str], float] = {}
    for event in made.decided:
        if event.kind not in (Kind.ACTIVATED, Kind.RELEASED):
            continue
        name, at = event.destination or "", event.at_ms / 1000
        activated = last.get((name, Kind.ACTIVATED))
        if activated is not None:
            since = at - activated
            assert since >= control.min_active_s - 0.001, f"{event.kind} of {name} {since} s after activation"
        last[name, event.kind] = at


def hurt(made: World, chance: random.Random, names: list[str]) -> None:
    """One random fault or its end: an outage, a sink that dies, a leader that is replaced."""
    what = chance.random()
    bucket = made.buckets[chance.choice(names)]
    if what < 0.4:
        bucket.up = not bucket.up
    elif what < 0.5:
        bucket.sink_runs = not bucket.sink_runs
    elif what < 0.55:
        made.lead()
    elif what < 0.75:
        for each in made.buckets.values():
            each.up = each.sink_runs = True


def promised(made: World, control: Control) -> None:
    """With enough healthy destinations for long enough, the promise is kept."""
    usable = [
        name
        for name, bucket in made.buckets.items()
        if bucket.up and bucket.sink_runs and made.seen[name].health is HealthState.HEALTHY
    ]
    if len(usable) >= control.min_copies and made.state.paused is None:
        assert len(made.keeping()) >= control.min_copies, (usable, made.keeping(), made.decided[-5:])


@pytest.mark.parametrize("seed", range(3))
def test_days_of_outages_keep_the_promise_and_never_flap(seed: int) -> None:
    chance = random.Random(seed)
    made = world()
    for _ in range(2 * 24 * 3600 // 600):
        hurt(made, chance, list(POLICIES))
        run(made, chance.choice([5, 20, 60, 600, 1200]))
        judge(made, CONTROL)
    for bucket in made.buckets.values():
        bucket.up = bucket.sink_runs = True
    run(made, 4 * 3600)
    promised(made, CONTROL)
    assert on_duty(made.state, POLICIES) == ["aws", "azure"], "all is well, and no standby serves any more"
    judge(made, CONTROL)


SHORT = Control(min_copies=2, min_active_s=60, release_after_s=30, healthy_after_s=20, stalled_after_s=30)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 30)), min_size=1, max_size=25))
def test_every_offset_ends_in_enough_destinations_whatever_fails(steps: list[tuple[int, int]]) -> None:
    sequence(steps)


def sequence(steps: list[tuple[int, int]]) -> None:
    """One random fault sequence, and what must hold after it."""
    made = World(POLICIES, SHORT)
    run(made, 50)
    for number, ticks in steps:
        hurt(made, random.Random(number), list(POLICIES))
        run(made, ticks * TICK_S)
    judge(made, SHORT)
    for bucket in made.buckets.values():
        bucket.up = bucket.sink_runs = True
    run(made, SHORT.stalled_after_s + SHORT.healthy_after_s + 60)
    promised(made, SHORT)
    # All of them work again: whoever is on duty catches up, and then nothing is in too few places.
    for _ in range(2000):
        if all((made.buckets[name].committed or 0) >= made.end - RATE for name in ("aws", "azure")):
            break
        made.tick()
    # The number of copies changes only where a range begins or ends.
    edges = {edge for bucket in made.buckets.values() for each in bucket.ranges for edge in each}
    for offset in sorted({0, *(edge for edge in edges if edge < made.end - RATE)}):
        copies = sum(bucket.holds(offset) for bucket in made.buckets.values())
        assert copies >= SHORT.min_copies, f"offset {offset} is in {copies} destinations"


@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_random_fault_sequences(part: int) -> None:
    chance = random.Random(20261122 + part)
    for _ in range(1_000):
        sequence([(chance.randrange(2**16), chance.randint(1, 12)) for _ in range(chance.randint(1, 5))])
