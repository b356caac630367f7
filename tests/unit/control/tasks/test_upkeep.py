from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from replicator.config import Compact, Config, Retention
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State, apply
from replicator.control.tasks.apart import Apart
from replicator.control.tasks.upkeep import FAILED, OVERDUE, Kept, Work, alerts, due
from replicator.points import ChainEnd, RestorePoint
from replicator.writer.process.pool import Supervisor

HOUR_MS = 3_600_000
POINT = RestorePoint("w", "cluster", "a", 40, 7, 1, 1, 1, 1, (ChainEnd("w.t", "A" * 22, 0, 1),))
LED = replace(apply(State(), Event(Kind.LEADER, 1, "c", epoch=1, number=1)), points={"a": POINT, "b": POINT})


def settings(compact_h: float = 24, retention_h: float = 0, **more: float) -> Config:
    return Config.model_validate(
        {
            "installation": "w",
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "registry": {"url": "http://127.0.0.1:1"},
            "source": {"dsn": "host=127.0.0.1", "connect_url": "http://127.0.0.1:1"},
            "compact": Compact(every_h=compact_h, **more),
            "retention": Retention(every_h=retention_h),
        }
    )


def did(state: State, at_ms: int, name: str, work: Work, *, passed: bool = True) -> State:
    done = Kept(work, name, "words", {"passed": float(passed)})
    return apply(state, replace(done.event(at_ms, "c"), epoch=1, number=state.number + 1))


def test_nothing_is_done_that_nobody_switched_on() -> None:
    assert due(settings(0, 0), LED, ["a"], 10**12) is None
    assert due(settings(24, 0), LED, ["a"], 10**12) == (Work.COMPACTION, "a")
    done = did(LED, 10**12, "a", Work.COMPACTION)
    assert due(settings(24, 0), done, ["a"], 10**12 + HOUR_MS) is None, "retention is off"


def test_what_was_never_done_comes_first_and_bases_before_retention() -> None:
    config, now = settings(24, 24), 10**12
    assert due(config, LED, ["a", "b"], now) == (Work.COMPACTION, "a")
    state = did(LED, now, "a", Work.COMPACTION)
    assert due(config, state, ["a", "b"], now) == (Work.COMPACTION, "b")
    assert due(config, state, ["a"], now) == (Work.RETENTION, "a")
    state = did(state, now + 1, "a", Work.RETENTION)
    assert due(config, state, ["a"], now + 23 * HOUR_MS) is None
    assert due(config, state, ["a"], now + 24 * HOUR_MS) == (Work.COMPACTION, "a")


def test_a_destination_without_a_restore_point_is_left_alone() -> None:
    assert due(settings(), replace(LED, points={}), ["a"], 10**12) is None


def test_a_failure_is_told_until_the_next_success_and_retried_when_it_is_due_again() -> None:
    failed = did(LED, HOUR_MS, "a", Work.COMPACTION, passed=False)
    [alert] = alerts(settings(), failed, ["a", "b"], 0, 2 * HOUR_MS)
    assert (alert.name, alert.destination) == (FAILED[Work.COMPACTION], "a")
    assert "`replicator compact a`" in alert.words
    assert due(settings(), failed, ["a"], 26 * HOUR_MS) == (Work.COMPACTION, "a")
    well = did(failed, 26 * HOUR_MS, "a", Work.COMPACTION)
    assert not list(alerts(settings(), well, ["a"], 0, 27 * HOUR_MS))


def test_no_base_for_too_long_is_told_by_the_last_success() -> None:
    state = did(did(LED, HOUR_MS, "a", Work.COMPACTION), 40 * HOUR_MS, "a", Work.COMPACTION, passed=False)
    assert [each.name for each in alerts(settings(), state, ["a"], 0, 50 * HOUR_MS)] == [
        FAILED[Work.COMPACTION],
        OVERDUE,
    ]
    assert [each.name for each in alerts(settings(remind_h=8), LED, ["a"], 0, 9 * HOUR_MS)] == [OVERDUE]
    assert not list(alerts(settings(0), LED, ["a"], 0, 900 * HOUR_MS))


def until(condition: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing ended within 30 s"
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(
    ("work", "result"),
    [("says", "7"), ("is killed", "ended with -9")],
)
def test_work_in_a_process_of_its_own(work: str, result: str) -> None:
    apart: Apart[str] = Apart("test", Supervisor())
    try:
        apart.want(partial(str, 7) if work == "says" else _kill_myself, _ended)
        assert apart.busy
        apart.want(partial(str, "another"), _ended)
        assert until(apart.take) == [result]
        apart.want(partial(str, "after it"), _ended)
        assert until(apart.take) == ["after it"]
    finally:
        apart.close()


def test_work_in_a_process_of_its_own_gives_way_to_the_lanes() -> None:
    apart: Apart[str] = Apart("test", Supervisor())
    try:
        apart.want(_niceness, _ended)
        assert until(apart.take) == [str(min(19, os.nice(0) + 10))]
    finally:
        apart.close()


def _niceness() -> str:
    return str(os.nice(0))


def _kill_myself() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "still there"


def _ended(status: int | None) -> str:
    return f"ended with {status}"
