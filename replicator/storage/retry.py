"""Retries around any store: full jitter, the store's own Retry-After, and a deadline or none.

Full jitter (a random wait between nothing and the doubled bound) keeps writers that failed together from
coming back together; source: Brooker, "Exponential backoff and jitter", AWS architecture blog, 2015.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import Capabilities, ObjectInfo, ObjectStore, PutResult

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to go on, in seconds. `deadline_s` None: for as long as the error may pass by itself.

    `damage_attempts` bounds CORRUPT alone: sending again mends damage on the way, not in memory or on a disk.
    """

    base_s: float = 0.2
    cap_s: float = 30.0
    deadline_s: float | None = 60.0
    retry_after_cap_s: float = 300.0
    damage_attempts: int = 3

    def wait_s(self, attempt: int, error: StorageError, jitter: float) -> float:
        """Seconds to wait after the failed `attempt` (from 1), for a `jitter` in [0, 1)."""
        bound = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 32))
        return max(bound * jitter, min(error.retry_after or 0.0, self.retry_after_cap_s))


FOREVER = RetryPolicy(deadline_s=None)


@dataclass(frozen=True, slots=True)
class Retry:
    """One failed attempt that will be made again: for a metric and a log line."""

    operation: str
    key: str
    error: StorageError
    attempt: int
    wait_s: float


def _ignore(_: Retry) -> None:
    return


def _ignore_end(_: str, __: str) -> None:
    return


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


class RetryingStore:
    """A store whose calls are repeated while their error may pass by itself; the port's promises hold.

    A put whose answer was lost is sent again and ends as EXISTED.
    """

    def __init__(
        self,
        store: ObjectStore,
        policy: RetryPolicy | None = None,
        *,
        on_retry: Callable[[Retry], None] = _ignore,
        on_settled: Callable[[str, str], None] = _ignore_end,
        wait: Callable[[float], bool] = _sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`wait` waits for so many seconds and says whether to give up, as `threading.Event.wait` does.

        `on_settled` is told the operation and the key of a call that was retried, once it is over: it
        succeeded after all, or raises.
        """
        self._store = store
        self._policy = policy or RetryPolicy()
        self._on_retry = on_retry
        self._on_settled = on_settled
        self._wait = wait
        self._clock = clock
        self._jitter = jitter

    @property
    def capabilities(self) -> Capabilities:
        """See the port."""
        return self._repeat("probe", "", lambda: self._store.capabilities)

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port."""
        return self._repeat(
            "put", key, lambda: self._store.put(key, body, sha256=sha256, if_absent=if_absent)
        )

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port."""
        return self._repeat("get", key, lambda: self._store.get(key, start=start, end=end))

    def head(self, key: str) -> ObjectInfo:
        """See the port."""
        return self._repeat("head", key, lambda: self._store.head(key))

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port. A listing that breaks goes on after the last key that it gave."""
        attempts: _Attempts | None = None
        started = self._clock()
        while True:
            try:
                for info in self._store.list(prefix, start_after=start_after):
                    start_after = info.key
                    if attempts is not None:
                        attempts.over()
                        attempts = None
                    yield info
                    started = self._clock()
            except StorageError as error:
                attempts = attempts or _Attempts(self, "list", prefix, started)
                attempts.failed(error)
            else:
                if attempts is not None:
                    attempts.over()
                return

    def delete(self, key: str) -> None:
        """See the port."""
        self._repeat("delete", key, lambda: self._store.delete(key))

    def close(self) -> None:
        """See the port."""
        self._store.close()

    def _repeat(self, operation: str, key: str, call: Callable[[], _T]) -> _T:
        attempts = _Attempts(self, operation, key, self._clock())
        while True:
            try:
                result = call()
            except StorageError as error:
                attempts.failed(error)
            else:
                attempts.over()
                return result


class _Attempts:
    """The failed attempts of one call; `failed` waits, or raises the error when it's time to give up."""

    def __init__(self, owner: RetryingStore, operation: str, key: str, started: float) -> None:
        self._owner = owner
        self._operation = operation
        self._key = key
        self._started = started
        self._attempt = 0
        self._damaged = 0
        self._retried = False

    def failed(self, error: StorageError) -> None:
        try:
            self._wait_or_raise(error)
        except StorageError:
            self.over()
            raise

    def over(self) -> None:
        if self._retried:
            self._owner._on_settled(self._operation, self._key)

    def _wait_or_raise(self, error: StorageError) -> None:
        owner, policy = self._owner, self._owner._policy
        self._attempt += 1
        self._damaged += error.kind is ErrorKind.CORRUPT
        if not error.retryable or self._damaged >= policy.damage_attempts:
            raise error
        wait_s = policy.wait_s(self._attempt, error, owner._jitter())
        spent_s = owner._clock() - self._started
        if policy.deadline_s is not None and spent_s + wait_s > policy.deadline_s:
            raise error
        self._retried = True
        owner._on_retry(Retry(self._operation, self._key, error, self._attempt, wait_s))
        if owner._wait(wait_s):
            raise error
