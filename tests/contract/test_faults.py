"""What servers and networks do wrong, and what an adapter makes of it: one kind, never half an object."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest

from replicator.storage import (
    ErrorKind,
    ObjectStore,
    PutResult,
    Retry,
    RetryingStore,
    RetryPolicy,
    StorageError,
)
from replicator.storage.check import fetch
from tests.contract.clouds.port import Cloud
from tests.faults.proxy import (
    Action,
    AlterAnswer,
    BlackHole,
    FaultProxy,
    LoseAnswer,
    Request,
    ResetRequest,
    TruncateAnswer,
)

TIMEOUT_S = 3.0
"""Short, for tests that wait for it; longer than a server takes to answer on a machine that is busy."""
QUICK = RetryPolicy(base_s=0.01, cap_s=0.05, deadline_s=20.0)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def only(
    which: Callable[[Request], bool], action: Action, times: int | None = None
) -> Callable[[Request], Action]:
    """The action for those requests, `times` times; everything else passes."""
    left = itertools.count() if times is None else iter(range(times))

    def rule(request: Request) -> Action:
        if not which(request) or next(left, None) is None:
            return None
        return action

    return rule


@pytest.fixture
def store(cloud: Cloud, proxy: FaultProxy, container: str) -> Iterator[ObjectStore]:
    """The server behind the proxy, with short time-outs, and without retries; its probes are over."""
    timeouts = {"connect_timeout_s": TIMEOUT_S, "read_timeout_s": TIMEOUT_S}
    made = cloud.open(cloud.destination(container, url=proxy.url, **timeouts))
    assert made.capabilities.create_if_absent is cloud.known.create_if_absent
    yield made
    made.close()


def caught(act: Callable[[], Any]) -> StorageError:
    with pytest.raises(StorageError) as info:
        act()
    return info.value


def plain(code: str) -> str:
    """Without what an SDK changes of it when it makes a class's name of a code."""
    return code.lower().replace("_", "")


def put(store: ObjectStore, key: str, body: bytes) -> PutResult:
    return store.put(key, body, sha256=digest(body))


def test_each_answer_of_the_server_has_its_kind(store: ObjectStore, proxy: FaultProxy, cloud: Cloud) -> None:
    for answer in cloud.answers:
        proxy.rule = only(cloud.is_write, cloud.respond(answer.status, answer.code))
        error = caught(lambda: put(store, "k", b"x"))
        assert error.kind is answer.kind, f"{answer} became {error!r}"
        assert "PUT k" in error.message
        if answer.code:
            assert plain(answer.code) in plain(error.code or ""), answer


def test_retry_after_is_passed_on_and_kept(store: ObjectStore, proxy: FaultProxy, cloud: Cloud) -> None:
    slow_down = cloud.respond(*cloud.throttled, {"Retry-After": "1"})
    proxy.rule = only(cloud.is_write, slow_down, times=2)
    assert caught(lambda: put(store, "k", b"x")).retry_after == 1.0
    waits: list[Retry] = []
    retrying = RetryingStore(store, QUICK, on_retry=waits.append)
    began = time.monotonic()
    assert put(retrying, "k", b"x") is PutResult.CREATED
    assert time.monotonic() - began >= 1.0
    assert [(retry.operation, retry.error.kind, retry.wait_s) for retry in waits] == [
        ("put", ErrorKind.THROTTLED, 1.0)
    ]


def test_half_of_the_puts_failing_loses_nothing(store: ObjectStore, proxy: FaultProxy, cloud: Cloud) -> None:
    turn = itertools.count()

    def rule(request: Request) -> Action:
        if not cloud.is_write(request):
            return None
        return cloud.respond(503, "") if next(turn) % 2 == 0 else None

    proxy.rule = rule
    retrying = RetryingStore(store, QUICK)
    bodies = {f"half/{number:02d}": os.urandom(5_000) for number in range(20)}
    assert [put(retrying, key, body) for key, body in bodies.items()] == [PutResult.CREATED] * 20
    proxy.heal()
    assert {info.key: store.get(info.key) for info in store.list("half/")} == bodies


def test_a_reset_inside_the_body_stores_nothing_and_may_be_repeated(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    body = os.urandom(3_000_000)
    proxy.rule = only(cloud.is_write, ResetRequest(after=1_000_000), times=1)
    assert caught(lambda: put(store, "reset", body)).kind is ErrorKind.TRANSIENT
    assert list(store.list("reset")) == []
    assert put(store, "reset", body) is PutResult.CREATED
    assert store.get("reset") == body


def test_a_put_whose_answer_is_lost_is_found_to_exist(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    body = os.urandom(10_000)
    proxy.rule = only(cloud.is_write, LoseAnswer(), times=1)
    assert put(RetryingStore(store, QUICK), "lost", body) is PutResult.EXISTED
    assert store.get("lost") == body


def test_a_truncated_answer_is_never_handed_over(store: ObjectStore, proxy: FaultProxy, cloud: Cloud) -> None:
    body = os.urandom(200_000)
    put(store, "whole", body)
    proxy.rule = only(cloud.is_read, TruncateAnswer(after=150_000), times=1)
    assert caught(lambda: store.get("whole")).kind is ErrorKind.TRANSIENT
    proxy.rule = only(cloud.is_read, TruncateAnswer(after=10), times=1)
    assert RetryingStore(store, QUICK).get("whole", start=100, end=1000) == body[100:1000]


def test_a_listing_that_breaks_goes_on_where_it_was(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    keys = [f"list/{number}" for number in range(5)]
    for key in keys:
        put(store, key, b"x")
    proxy.rule = only(cloud.is_list, TruncateAnswer(after=200), times=2)
    assert [info.key for info in RetryingStore(store, QUICK).list("list/")] == keys


def test_one_altered_bit_on_the_way_is_found_by_the_digest(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    body = os.urandom(50_000)
    put(store, "bit", body)
    proxy.rule = only(cloud.is_read, AlterAnswer(at=33_333), times=1)
    error = caught(lambda: fetch(store, "bit", sha256=digest(body)[:16]))
    assert error.kind is ErrorKind.CORRUPT
    assert fetch(store, "bit", sha256=digest(body)[:16]) == body


def test_a_server_that_is_down_is_transient_and_is_used_again_when_up(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    proxy.down()
    assert caught(lambda: put(store, "down", b"x")).kind is ErrorKind.TRANSIENT
    assert caught(lambda: store.head("down")).kind is ErrorKind.TRANSIENT
    assert caught(lambda: list(store.list(""))).kind is ErrorKind.TRANSIENT
    seen: list[Retry] = []

    def back_up(retry: Retry) -> None:
        seen.append(retry)
        if len(seen) == 3:
            proxy.up()

    assert put(RetryingStore(store, QUICK, on_retry=back_up), "down", b"x") is PutResult.CREATED
    assert len(seen) >= 3


def test_a_server_that_never_answers_is_given_up_after_the_time_out(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    proxy.rule = only(cloud.is_write, BlackHole())
    began = time.monotonic()
    assert caught(lambda: put(store, "hole", os.urandom(100_000))).kind is ErrorKind.TRANSIENT
    assert time.monotonic() - began < 3 * TIMEOUT_S


def test_a_slow_line_is_no_time_out_as_long_as_bytes_move(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    # Twice the time-out.
    body = os.urandom(7_500_000)
    proxy.bytes_per_s = int(len(body) / (2 * TIMEOUT_S))
    began = time.monotonic()
    assert put(store, "slow", body) is PutResult.CREATED
    assert time.monotonic() - began > 1.5 * TIMEOUT_S
    proxy.heal()
    assert store.get("slow") == body


def test_a_container_that_does_not_exist_is_fatal_in_every_operation(cloud: Cloud) -> None:
    store = cloud.open(cloud.destination("no-such-bucket-here"))
    for act in (
        lambda: put(store, "k", b"x"),
        lambda: store.get("k"),
        lambda: store.head("k"),
        lambda: list(store.list("")),
    ):
        error = caught(act)
        assert error.kind is ErrorKind.FATAL, repr(error)
        assert "no-such-bucket-here" in error.message
        assert error.next_step is not None
        assert "create the" in error.next_step


def test_wrong_credentials_are_named(cloud: Cloud, container: str) -> None:
    assert bool(cloud.wrong_credentials) is cloud.known.refuses_wrong_credentials
    for named, wrong in cloud.wrong_credentials.items():
        store = cloud.open(cloud.destination(container, **wrong))
        acts: tuple[Callable[[ObjectStore], Any], ...] = (
            lambda store: put(store, "k", b"x"),
            lambda store: store.get("k"),
            lambda store: list(store.list("")),
        )
        for act in acts:
            error = caught(partial(act, store))
            assert error.kind is ErrorKind.AUTH, repr(error)
            assert error.next_step is not None
            assert named in error.next_step
            assert not any(str(value) in str(error) for value in wrong.values())


def test_a_server_whose_clock_differs_is_told_with_both_times(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    if cloud.skewed is None:
        assert not cloud.known.refuses_a_clock_that_is_off
        return
    there = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    proxy.rule = only(cloud.is_write, cloud.respond(*cloud.skewed, {"Date": there}))
    error = caught(lambda: put(store, "late", b"x"))
    assert error.kind is ErrorKind.AUTH
    assert error.next_step is not None
    assert "clock" in error.next_step
    assert there in error.message
    assert "this host's" in error.message


def test_an_address_where_nothing_listens_is_transient(cloud: Cloud, container: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        store = cloud.open(cloud.destination(container, url=url))
        assert caught(lambda: store.get("k")).kind is ErrorKind.TRANSIENT


def test_a_part_that_fails_leaves_no_object_behind(
    store: ObjectStore, proxy: FaultProxy, cloud: Cloud
) -> None:
    body = os.urandom(12 * 2**20)
    turn = itertools.count()
    proxy.rule = only(
        lambda request: cloud.is_write(request) and request.length > 2**20 and next(turn) == 1,
        cloud.respond(500, "InternalError"),
    )
    assert caught(lambda: put(store, "parts", body)).kind is ErrorKind.TRANSIENT
    proxy.heal()
    assert list(store.list("parts")) == []
    assert put(store, "parts", body) is PutResult.CREATED
    assert store.get("parts") == body


def test_the_sdk_sends_each_request_once(store: ObjectStore, proxy: FaultProxy, cloud: Cloud) -> None:
    put(store, "once", b"x" * 1000)
    asked: dict[str, tuple[Callable[[Request], bool], Callable[[], Any]]] = {
        "write": (cloud.is_write, lambda: put(store, "once-more", b"x")),
        "read": (cloud.is_read, lambda: store.get("once")),
        "list": (cloud.is_list, lambda: list(store.list("once"))),
    }
    for name, (which, act) in asked.items():
        count = itertools.count()
        proxy.rule = lambda request, which=which, count=count: (  # type: ignore[misc]
            cloud.respond(503, "") if which(request) and next(count) >= 0 else None
        )
        assert caught(act).retryable
        assert next(count) == 1, f"{name}: sent more than once"
