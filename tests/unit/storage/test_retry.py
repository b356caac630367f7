"""Retries: which errors, how long, and what is promised meanwhile. No test here waits."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.storage import FOREVER, ErrorKind, PutResult, Retry, RetryingStore, RetryPolicy, StorageError
from replicator.storage.memory import MemoryStore


def error(kind: ErrorKind, retry_after: float | None = None) -> StorageError:
    return StorageError(f"injected {kind.value}", kind=kind, retry_after=retry_after)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Rig:
    """A retrying store over memory, with a clock that moves only when it waits."""

    def __init__(self, policy: RetryPolicy, give_up_after: int = 10**9) -> None:
        self.memory = MemoryStore()
        self.now = 0.0
        self.retries: list[Retry] = []
        self.settled: list[tuple[str, str]] = []
        self._left = give_up_after
        self.store = RetryingStore(
            self.memory,
            policy,
            on_retry=self.retries.append,
            on_settled=lambda operation, key: self.settled.append((operation, key)),
            wait=self._wait,
            clock=lambda: self.now,
            jitter=lambda: 0.999,
        )

    def _wait(self, seconds: float) -> bool:
        self.now += seconds
        self._left -= 1
        return self._left <= 0

    def put(self, body: bytes = b"x") -> PutResult:
        return self.store.put("k", body, sha256=digest(body))


def test_what_may_pass_is_repeated_and_told() -> None:
    rig = Rig(RetryPolicy())
    rig.memory.fail("put", error(ErrorKind.TRANSIENT), times=3)
    assert rig.put() is PutResult.CREATED
    assert [retry.attempt for retry in rig.retries] == [1, 2, 3]
    assert [retry.wait_s for retry in rig.retries] == sorted(retry.wait_s for retry in rig.retries)


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.FATAL, ErrorKind.EXISTS, ErrorKind.NOT_FOUND])
def test_what_only_a_person_can_mend_is_told_at_once(kind: ErrorKind) -> None:
    rig = Rig(FOREVER)
    rig.memory.fail("put", error(kind))
    with pytest.raises(StorageError) as caught:
        rig.put()
    assert caught.value.kind is kind
    assert rig.retries == []


def test_the_deadline_is_never_passed() -> None:
    rig = Rig(RetryPolicy(base_s=1.0, cap_s=4.0, deadline_s=10.0))
    rig.memory.fail("put", error(ErrorKind.TRANSIENT), times=100)
    with pytest.raises(StorageError):
        rig.put()
    assert 5.0 < rig.now <= 10.0


def test_forever_outlasts_a_day() -> None:
    rig = Rig(FOREVER)
    rig.memory.fail("put", error(ErrorKind.TRANSIENT), times=3000)
    assert rig.put() is PutResult.CREATED
    assert rig.now > 24 * 3600


def test_being_told_to_stop_ends_a_retry_without_end() -> None:
    rig = Rig(FOREVER, give_up_after=5)
    rig.memory.fail("put", error(ErrorKind.TRANSIENT), times=100)
    with pytest.raises(StorageError):
        rig.put()
    assert len(rig.retries) == 5


def test_damage_is_sent_again_but_not_for_ever() -> None:
    rig = Rig(FOREVER)
    rig.memory.fail("put", error(ErrorKind.CORRUPT), times=2)
    assert rig.put() is PutResult.CREATED
    rig.memory.fail("put", error(ErrorKind.CORRUPT), times=100)
    with pytest.raises(StorageError):
        rig.put(b"y")
    assert len(rig.retries) == 4


def test_a_put_whose_answer_was_lost_ends_as_existed() -> None:
    rig = Rig(RetryPolicy())
    rig.memory.fail("put", error(ErrorKind.TRANSIENT), after=True)
    assert rig.put(b"body") is PutResult.EXISTED
    assert rig.store.get("k") == b"body"


def test_a_listing_that_breaks_gives_each_key_once() -> None:
    rig = Rig(RetryPolicy())
    keys = [f"p/{number}" for number in range(10)]
    for key in keys:
        rig.store.put(key, b"x", sha256=digest(b"x"))
    rig.memory.fail("list", error(ErrorKind.TRANSIENT), times=2, after=True)
    assert [info.key for info in rig.store.list("p/", start_after="p/2")] == keys[3:]
    assert len(rig.retries) == 2


@given(
    attempt=st.integers(1, 10_000),
    jitter=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 1e6),
)
def test_a_wait_is_bounded_and_honours_the_server(
    attempt: int, jitter: float, retry_after: float | None
) -> None:
    policy = RetryPolicy()
    wait_s = policy.wait_s(attempt, error(ErrorKind.THROTTLED, retry_after), jitter)
    assert wait_s >= min(retry_after or 0.0, policy.retry_after_cap_s)
    assert wait_s <= max(policy.cap_s, min(retry_after or 0.0, policy.retry_after_cap_s))


def test_a_call_that_was_retried_is_told_to_be_over_however_it_ends() -> None:
    rig = Rig(FOREVER)
    rig.put()
    assert rig.settled == []
    rig.memory.fail("put", error(ErrorKind.TRANSIENT), times=2)
    rig.put()
    assert rig.settled == [("put", "k")]
    rig.memory.fail("list", error(ErrorKind.TRANSIENT), times=2)
    assert [info.key for info in rig.store.list("")] == ["k"]
    assert rig.settled == [("put", "k"), ("list", "")]
    rig.memory.fail("head", error(ErrorKind.TRANSIENT))
    rig.memory.fail("head", error(ErrorKind.FATAL))
    with pytest.raises(StorageError):
        rig.store.head("k")
    assert rig.settled == [("put", "k"), ("list", ""), ("head", "k")]
