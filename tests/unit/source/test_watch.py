from __future__ import annotations

from replicator.source.running import State
from replicator.source.watch import CALM_S, LONGEST_PAUSE_S, GiveUp, Restart, Wait, Watch

RUNS = State("RUNNING", ("RUNNING",), None)
FAILED = State("RUNNING", ("FAILED",), "trace")
PAUSED = State("PAUSED", ("PAUSED",), None)


def whole() -> None:
    return None


def test_a_connector_that_runs_or_is_paused_is_left_alone() -> None:
    watch = Watch()
    assert watch.decide(RUNS, 0, whole) == Wait()
    assert watch.decide(PAUSED, 1, whole) == Wait()


def test_a_failed_task_is_restarted_at_once_and_then_ever_less_often() -> None:
    watch = Watch()
    at = [second for second in range(100) if isinstance(watch.decide(FAILED, second, whole), Restart)]
    assert at == [0, 2, 6, 14, 30, 62]


def test_the_pause_never_grows_beyond_its_bound() -> None:
    watch = Watch()
    at = [second for second in range(20_000) if isinstance(watch.decide(FAILED, second, whole), Restart)]
    assert at[-1] - at[-2] == LONGEST_PAUSE_S


def test_a_connector_that_ran_calmly_for_long_starts_with_the_short_pause_again() -> None:
    watch = Watch()
    for second in range(20):
        watch.decide(FAILED, second, whole)
    watch.decide(RUNS, 30, whole)
    watch.decide(RUNS, 30 + CALM_S, whole)
    assert watch.decide(FAILED, 31 + CALM_S, whole) == Restart(1)


def test_a_short_recovery_does_not_reset_the_pause() -> None:
    watch = Watch()
    assert watch.decide(FAILED, 0, whole) == Restart(1)
    watch.decide(RUNS, 1, whole)
    assert watch.decide(FAILED, 1.5, whole) == Wait()
    assert watch.decide(FAILED, 2, whole) == Restart(2)


def test_it_never_restarts_over_a_hole() -> None:
    assert Watch().decide(FAILED, 0, lambda: "the slot is gone") == GiveUp("the slot is gone")
