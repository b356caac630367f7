from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.config import Drill as Settings
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State, apply
from replicator.control.tasks.rehearsing import DRILL_FAILED, DRILL_OVERDUE, Rehearsed, alerts, is_due, told
from replicator.drill import Result
from replicator.drill import State as Ending
from replicator.points import ChainEnd, RestorePoint

DAILY = Settings(every_h=24)
HOUR_MS = 3_600_000
POINT = RestorePoint("w", "cluster", "a", 40, 7, 1, 1, 1, 1, (ChainEnd("w.t", "A" * 22, 0, 1),))
LED = replace(apply(State(), Event(Kind.LEADER, 1, "c", epoch=1, number=1)), points={"a": POINT})


def held(state: State, at_ms: int, *, passed: bool) -> State:
    done = Rehearsed("equal" if passed else "different", "words", {"passed": float(passed), "rto_s": 2.0})
    return apply(state, replace(done.event(at_ms, "c"), epoch=1, number=state.number + 1))


def test_a_drill_is_due_after_its_hours_and_never_without_a_schedule_or_a_restore_point() -> None:
    assert is_due(DAILY, LED, HOUR_MS)
    assert not is_due(Settings(), LED, HOUR_MS)
    assert not is_due(DAILY, replace(LED, points={}), HOUR_MS)
    done = held(LED, HOUR_MS, passed=False)
    assert not is_due(DAILY, done, 24 * HOUR_MS)
    assert is_due(DAILY, done, 25 * HOUR_MS)


def test_one_that_failed_is_told_until_another_passes() -> None:
    failed = held(LED, HOUR_MS, passed=False)
    [alert] = alerts(DAILY, failed, 0, 2 * HOUR_MS)
    assert alert.name == DRILL_FAILED
    assert "words" in alert.words
    assert alerts(DAILY, held(failed, 2 * HOUR_MS, passed=True), 0, 3 * HOUR_MS) == []


def test_none_for_too_long_is_told_by_the_last_that_passed_whatever_failed_since() -> None:
    state = held(held(LED, HOUR_MS, passed=True), 40 * HOUR_MS, passed=False)
    assert [each.name for each in alerts(DAILY, state, 0, 48 * HOUR_MS)] == [DRILL_FAILED]
    assert [each.name for each in alerts(DAILY, state, 0, 50 * HOUR_MS)] == [DRILL_FAILED, DRILL_OVERDUE]
    assert [each.name for each in alerts(DAILY, LED, 0, 49 * HOUR_MS)] == [DRILL_OVERDUE]
    assert alerts(Settings(), state, 0, 39 * HOUR_MS)[0].name == DRILL_FAILED
    assert len(alerts(Settings(remind_h=8), LED, 0, 9 * HOUR_MS)) == 1


@pytest.mark.parametrize("state", Ending)
def test_an_event_has_the_figures_that_are_known(state: Ending) -> None:
    result = Result(
        "i", "w", 0, 1, state, "now", ("a",), rto_s=1.5, different=("t: 1 rows",), keys=("t (3)",)
    )
    event = told(result, ["a doesn't keep it"]).event(5, "c")
    assert event.facts["passed"] == float(state in (Ending.EQUAL, Ending.PROVEN))
    assert event.facts["rto_s"] == 1.5
    assert "rpo_s" not in event.facts
    assert "t (3)" in event.reason
    assert "doesn't keep" in event.reason
