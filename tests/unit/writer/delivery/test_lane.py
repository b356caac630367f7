"""The lane on real threads: no thread waits for a store, and nothing of a dropped partition is kept."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from replicator.segment.container import Segment
from replicator.segment.name import SegmentName
from replicator.storage import ErrorKind, PutResult, StorageError
from replicator.storage.memory import MemoryStore
from replicator.telemetry import SinkMetrics
from replicator.writer.delivery.breaker import Ask, Breaker, GiveUp, Patience, Trial
from replicator.writer.delivery.lane import Durable, Lane, Rejected
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Pool, Supervisor

DEADLINE_S = 10.0
QUICK = Patience(refused_s=0.2, refusals=2)
DENIED = StorageError("forbidden", kind=ErrorKind.AUTH)
LOST = StorageError("no answer", kind=ErrorKind.TRANSIENT)


@dataclass
class Owner:
    dropped: bool = False


class Moody(MemoryStore):
    """Refuses the keys that `refuses` picks, and everything while `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.down: ErrorKind | None = None
        self.refuses: Callable[[str], bool] = lambda _: False

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        if self.down is not None:
            raise StorageError("down", kind=self.down)
        if self.refuses(key):
            raise StorageError("forbidden", kind=ErrorKind.AUTH)
        return super().put(key, body, sha256=sha256, if_absent=if_absent)


class Rig:
    def __init__(self, threads: int = 1) -> None:
        self.store, self.health, self.metrics = Moody(), Health(), SinkMetrics()
        self.supervisor = Supervisor()
        pools = Pool("upload", threads, self.supervisor), Pool("lane", 1, self.supervisor)
        self.lane = Lane(self.store, "me", QUICK, self.health, self.metrics, *pools)
        self.heard = threading.Condition()
        self.outcomes: dict[int, Durable | Rejected] = {}

    def upload(self, first: int, owner: Owner | None = None, size: int = 10) -> None:
        def told(outcome: Durable | Rejected) -> None:
            with self.heard:
                self.outcomes[first] = outcome
                self.heard.notify_all()

        self.lane.upload(owner or Owner(), lambda: segment(first, size), told)

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        with self.heard:
            while not condition():
                assert time.monotonic() < deadline, f"{what} didn't happen: {self.outcomes}"
                self.heard.wait(0.02)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    assert made.supervisor.failure is None


def segment(first: int, size: int) -> Segment:
    body = bytes(size)
    digest = hashlib.sha256(body).hexdigest()
    return Segment(SegmentName("t", "x" * 22, 0, first, first + 1, digest[:16]), body, digest)


def test_while_the_destination_is_down_nothing_is_blamed_and_all_is_stored_when_it_is_back(rig: Rig) -> None:
    rig.store.down = ErrorKind.AUTH
    for first in range(5):
        rig.upload(first)
    rig.until("the open circuit", lambda: "destination" in rig.health.problems())
    rig.store.down = None
    rig.until("the end", lambda: len(rig.outcomes) == 5)
    assert all(isinstance(outcome, Durable) for outcome in rig.outcomes.values())
    rig.until("peace", lambda: set(rig.health.problems()) == {"group"})
    assert not any(key.startswith("v1/probe/") for key in (info.key for info in rig.store.list("")))


def test_a_segment_that_a_healthy_destination_refuses_is_rejected_and_no_other(rig: Rig) -> None:
    rig.store.refuses = lambda key: segment(1, 10).name.key() == key
    for first in range(3):
        rig.upload(first)
    rig.until("the end", lambda: len(rig.outcomes) == 3)
    assert [type(rig.outcomes[first]) for first in range(3)] == [Durable, Rejected, Durable]
    rejected = rig.outcomes[1]
    assert isinstance(rejected, Rejected)
    assert rejected.error.kind is ErrorKind.AUTH
    assert rejected.attempts >= QUICK.refusals
    assert rejected.seconds >= QUICK.refused_s
    assert rig.lane.waiting == 0


def test_a_probe_that_may_not_delete_still_counts(rig: Rig) -> None:
    rig.store.fail("delete", DENIED, times=100)
    rig.store.refuses = lambda key: key.startswith("v1/changes/")
    rig.upload(0)
    rig.until("the verdict", lambda: 0 in rig.outcomes)
    assert isinstance(rig.outcomes[0], Rejected)
    assert [info.key for info in rig.store.list("")] == ["v1/probe/lane-me"], "one object, not one a probe"


@pytest.mark.parametrize("kind", [ErrorKind.TRANSIENT, ErrorKind.AUTH])
def test_a_dropped_partition_frees_its_threads_and_its_memory_though_the_store_never_answers(
    rig: Rig, kind: ErrorKind
) -> None:
    rig.store.down = kind
    owner = Owner()
    kept: list[weakref.ref[Owner]] = [weakref.ref(owner)]
    for first in range(3):
        rig.upload(first, owner, size=1000)
    rig.until("the failures", lambda: len(rig.health.problems()) > 1)
    owner.dropped = True
    rig.lane.drop(owner)
    assert rig.lane.waiting == 0
    del owner
    rig.until("the release", lambda: gc.collect() >= 0 and kept[0]() is None)
    rig.store.down = None
    rig.upload(7)
    rig.until("the next one", lambda: 7 in rig.outcomes)
    assert set(rig.outcomes) == {7}
    assert len(list(rig.store.list("v1/changes/"))) == 1


def test_an_object_of_that_name_with_other_bytes_is_replaced(rig: Rig) -> None:
    good = segment(0, 10)
    rig.store.put(good.name.key(), good.body, sha256=good.sha256)
    rig.store.damage(good.name.key(), b"damaged")
    rig.upload(0)
    rig.until("the end", lambda: 0 in rig.outcomes)
    assert rig.store.get(good.name.key()) == good.body


def test_the_store_is_left_alone_for_as_long_as_it_asked() -> None:
    breaker = Breaker(QUICK)
    slow = StorageError("slow down", kind=ErrorKind.THROTTLED, retry_after=7.0)
    breaker.failed(Trial(), slow, 100.0, 0.0)
    assert breaker.wait_s(101.0) == 6.0
    assert breaker.probe_failed(slow, 101.0, 0.0) == 7.0


def test_what_may_pass_by_itself_is_no_refusal_before_its_time() -> None:
    breaker, trial = Breaker(Patience(refused_s=1.0, refusals=1, stuck_s=900.0)), Trial()
    breaker.failed(trial, LOST, 0.0, 0.0)
    assert not isinstance(breaker.judge(trial, 500.0, 0.0), GiveUp)
    assert isinstance(breaker.failed(trial, LOST, 901.0, 0.0), Ask)
    assert isinstance(breaker.judge(trial, 902.0, 0.0), GiveUp)
