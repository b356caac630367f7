"""Heavy work in a process of its own: it would take the leader's processor from it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Generic, NoReturn, TypeVar

from replicator import log
from replicator.writer.process.pool import Pool, Supervisor

T = TypeVar("T")
_END_S = 30.0
"""Work that is told to end cleans up within that time, or is killed."""
_NICE = 10
"""Lanes that share the machine come first: what is committed now can't wait, this can."""
_PR_SET_PDEATHSIG = 1


class Apart(Generic[T]):
    """Does one piece of work at a time in a child process; asking it never waits."""

    def __init__(self, name: str, supervisor: Supervisor) -> None:
        self._pool = Pool(name, 1, supervisor)
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._busy = False
        self._closed = False
        self._done: list[T] = []

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        with self._lock:
            return self._busy

    def want(self, work: Callable[[], T], broken: Callable[[int | None], T]) -> None:
        """Have the work done unless something is being done; it is pickled.

        A process that ends without a word has `broken` of its exit status as its result. Told to end, or when
        this process ends, the work meets a `KeyboardInterrupt`, and has no result.
        """
        with self._lock:
            if self._busy or self._closed:
                return
            self._busy = True
        self._pool.submit(lambda: self._do(work, broken))

    def take(self) -> list[T]:
        """What ended since."""
        with self._lock:
            done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Do no more; what is being done is ended, and cleans up."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None and process.is_alive():
            process.terminate()
        self._pool.close()

    def _do(self, work: Callable[[], T], broken: Callable[[int | None], T]) -> None:
        spawning = multiprocessing.get_context("spawn")
        ours, theirs = spawning.Pipe(duplex=False)
        process = spawning.Process(target=_in_child, args=(work, theirs, os.getpid()), daemon=True)
        with self._lock:
            if self._closed:
                return
            process.start()
            self._process = process
        theirs.close()
        try:
            done: T = ours.recv()
        except EOFError:
            process.join(_END_S)
            done = broken(process.exitcode)
        process.join(_END_S)
        with self._lock:
            self._busy, self._process = False, None
            if not self._closed:
                self._done.append(done)


def _in_child(work: Callable[[], T], connection: Connection, parent: int) -> None:
    log.configure("info", "auto")
    os.nice(_NICE)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return
    try:
        connection.send(work())
    except KeyboardInterrupt:
        return
    finally:
        connection.close()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
