from __future__ import annotations

from replicator.source.running import shortened, state


def test_no_connector_is_absent_and_neither_runs_nor_failed() -> None:
    found = state(None)
    assert (found.connector, found.runs, found.failed) == ("ABSENT", False, False)


def test_a_connector_without_tasks_does_not_run_yet() -> None:
    assert not state({"connector": {"state": "RUNNING"}, "tasks": []}).runs


def test_one_failed_task_is_a_failure_with_its_trace() -> None:
    found = state(
        {
            "connector": {"state": "RUNNING"},
            "tasks": [{"state": "RUNNING"}, {"state": "FAILED", "trace": "org.X: no\n\tat a.b"}],
        }
    )
    assert found.failed
    assert not found.runs
    assert found.trace == "org.X: no\n\tat a.b"


def test_the_cause_survives_the_shortening_of_a_long_trace() -> None:
    trace = "\n".join(
        [
            "org.E: outer",
            *(f"\tat a.b({n})" for n in range(200)),
            "Caused by: java.C: password wrong",
            "\tat c.d",
        ]
    )
    short = shortened(trace)
    assert short.startswith("org.E: outer")
    assert "Caused by: java.C: password wrong" in short
    assert len(short.splitlines()) < 10
