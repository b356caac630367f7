"""A few workers, each with its own connection, and jobs that bring forth more jobs."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

import psycopg

from replicator.restore.target.database import Connection

Work: TypeAlias = Callable[[Connection], "Sequence[Job]"]


@dataclass(order=True)
class Job:
    """Work for one connection, which gives the jobs it makes possible; the smallest `rank` goes first."""

    rank: int
    work: Work = field(compare=False)


def run(jobs: Sequence[Job], connections: Sequence[Connection]) -> None:
    """Do all jobs and those that come of them, as many at a time as there are connections.

    The first error ends it: what the others are doing is cancelled in the database, and the error raised once
    they have stopped. The same holds for Ctrl-C.
    """
    pool = _Pool(jobs)
    threads = [
        threading.Thread(target=pool.work, args=(connection,), name=f"restore-{i}", daemon=True)
        for i, connection in enumerate(connections)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                # Joined in short pieces: a join without a time-out can't be interrupted by a signal.
                thread.join(0.2)
                if pool.error is not None:
                    _cancel(connections)
    except BaseException as error:
        pool.stop(error)
        _cancel(connections)
        for thread in threads:
            thread.join(10)
        raise
    if pool.error is not None:
        raise pool.error


class _Pool:
    def __init__(self, jobs: Sequence[Job]) -> None:
        self._changed = threading.Condition()
        self._numbers = count()
        self._heap: list[tuple[int, int, Job]] = []
        self._busy = 0
        self.error: BaseException | None = None
        self._push(jobs)

    def _push(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            heapq.heappush(self._heap, (job.rank, next(self._numbers), job))

    def stop(self, error: BaseException) -> None:
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()

    def work(self, connection: Connection) -> None:
        while (job := self._next()) is not None:
            try:
                more = job.work(connection)
            except BaseException as error:  # noqa: BLE001 - raised again by run(), in the caller's thread
                self.stop(error)
                more = ()
            with self._changed:
                self._busy -= 1
                self._push(more)
                self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            while True:
                if self.error is not None or (not self._heap and not self._busy):
                    return None
                if self._heap:
                    self._busy += 1
                    return heapq.heappop(self._heap)[2]
                self._changed.wait()


def _cancel(connections: Sequence[Connection]) -> None:
    for connection in connections:
        try:
            connection.cancel()
        except psycopg.Error:
            # A connection that is gone has nothing to cancel.
            continue
