"""Threads that do what the loop must not wait for, and who hears of it when one of them fails."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

import structlog

from replicator.errors import ReplicatorError

_log = structlog.get_logger()
_HOLD_UP_S = 0.5


class UnforeseenError(ReplicatorError):
    """A thread raised what nobody expected there: a defect, with which the process must not go on."""


class Supervisor:
    """Keeps the first failure of any thread, for the loop to end with: a process must not look alive
    while part of it is dead."""

    def __init__(self) -> None:
        self.failure: UnforeseenError | None = None

    def failed(self, error: Exception) -> None:
        """The calling thread's job raised the error."""
        thread = threading.current_thread().name
        _log.error("a thread failed", thread=thread, exc_info=error)
        if self.failure is None:
            self.failure = UnforeseenError(
                f"Thread {thread} failed with {type(error).__name__}: {error}. Nothing is lost: what isn't "
                "stored and committed is read from Kafka again.",
                next_step="start the sink again; report this with the traceback in the log",
            )


class Submitter(Protocol):
    """What runs jobs for those who must not wait for them."""

    def submit(self, job: Callable[[], None], *, after_s: float = 0.0) -> None:
        """Have the job run, but not within `after_s` seconds."""
        ...


class Pool:
    """`threads` daemon threads that run jobs in order of submission.

    A job reports what came of it to whoever submitted it; what it raises goes to the supervisor. Daemons,
    because a process that is told to end must not wait for a store that doesn't answer.
    """

    def __init__(self, name: str, threads: int, supervisor: Supervisor, *, depth: int | None = None) -> None:
        """With `depth`, `submit` holds its caller up while so many jobs wait, for half a second at most."""
        self._supervisor = supervisor
        self._room = None if depth is None else threading.Semaphore(depth)
        self._changed = threading.Condition()
        self._jobs: list[tuple[float, int, bool, Callable[[], None]]] = []
        """A heap: due when, in which order submitted, whether it took room, what."""
        self._numbers = count()
        self._closed = False
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, job: Callable[[], None], *, after_s: float = 0.0) -> None:
        """Have the job run as soon as a thread is free, but not within `after_s` seconds."""
        room = self._room is not None and self._room.acquire(timeout=_HOLD_UP_S)
        due = time.monotonic() + after_s if after_s else 0.0
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._jobs, (due, next(self._numbers), room, job))
            self._changed.notify()

    def close(self) -> None:
        """Run nothing more: jobs that wait are dropped, and a thread ends after the job that it runs.

        Doesn't wait for them; jobs that are submitted later are dropped, too.
        """
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while (found := self._next()) is not None:
            room, job = found
            if room and self._room is not None:
                self._room.release()
            try:
                job()
            except Exception as error:  # noqa: BLE001  # nothing above this frame would ever hear of it
                self._supervisor.failed(error)
            del job, found  # an idle thread must not hold what its last job held

    def _next(self) -> tuple[bool, Callable[[], None]] | None:
        """The next job that is due; None when there will be none."""
        with self._changed:
            while not self._closed:
                wait_s = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._jobs)[2:]
                self._changed.wait(wait_s)
        return None
