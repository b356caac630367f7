"""Threads: what they run, when, and who hears of it when a job fails."""

from __future__ import annotations

import threading
import time

from replicator.writer.process.pool import Pool, Supervisor

DEADLINE_S = 10.0


def test_a_job_that_raises_is_told_to_the_supervisor_and_the_thread_goes_on() -> None:
    supervisor = Supervisor()
    pool = Pool("upload", 1, supervisor)
    done = threading.Event()

    def fail() -> None:
        raise LookupError("what nobody expected")

    pool.submit(fail)
    pool.submit(done.set)
    assert done.wait(DEADLINE_S), "the thread ended with the job that failed"
    assert supervisor.failure is not None
    assert "upload-0" in str(supervisor.failure)
    assert "LookupError: what nobody expected" in str(supervisor.failure)


def test_the_first_failure_is_the_one_that_is_kept() -> None:
    supervisor = Supervisor()
    supervisor.failed(ValueError("first"))
    supervisor.failed(ValueError("second"))
    assert "first" in str(supervisor.failure)


def test_jobs_run_in_order_of_submission_and_a_postponed_one_holds_up_none() -> None:
    pool = Pool("one", 1, Supervisor())
    ran: list[str] = []
    done = threading.Event()
    began = time.monotonic()
    pool.submit(lambda: ran.append("postponed"), after_s=0.2)
    pool.submit(done.set, after_s=0.3)
    for name in ("a", "b", "c"):
        pool.submit(lambda name=name: ran.append(name))  # type: ignore[misc]
    assert done.wait(DEADLINE_S), f"only {ran} ran"
    assert ran == ["a", "b", "c", "postponed"]
    assert time.monotonic() - began >= 0.2


def test_a_closed_pool_ends_its_threads_after_the_job_at_hand_and_takes_no_more() -> None:
    supervisor = Supervisor()
    pool = Pool("term", 2, supervisor)
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("term-")]
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    ran: list[str] = []

    def job() -> None:
        began.set()
        go_on.wait(DEADLINE_S)
        ended.set()

    pool.submit(job)
    assert began.wait(DEADLINE_S), "the job never began"
    pool.submit(lambda: ran.append("postponed"), after_s=0.05)
    pool.close()
    pool.submit(lambda: ran.append("too late"))
    go_on.set()
    for thread in mine:
        thread.join(DEADLINE_S)
    assert len(mine) == 2
    assert not any(thread.is_alive() for thread in mine)
    assert ended.is_set()
    assert ran == []
    assert supervisor.failure is None
