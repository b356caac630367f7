"""Many calls, few at once: all results come, little is taken in advance, and an error ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from replicator.parallel import parallel


def test_every_result_comes_once_by_threads_of_that_name() -> None:
    def call(number: int) -> tuple[int, str]:
        return number * 2, threading.current_thread().name.split("_")[0]

    assert sorted(parallel("copy", call, range(100), 3)) == [(2 * n, "copy") for n in range(100)]
    assert list(parallel("copy", call, [], 3)) == []


def test_no_more_is_taken_than_twice_what_is_under_way() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = parallel("copy", lambda number: number, items(), 2)
    next(results)
    assert len(taken) <= 4
    assert sum(1 for _ in results) == 999


def test_the_first_error_ends_it_and_what_waits_is_dropped() -> None:
    called: list[int] = []

    def call(number: int) -> int:
        called.append(number)
        if number == 3:
            raise ValueError("the third")
        return number

    with pytest.raises(ValueError, match="the third"):
        list(parallel("copy", call, range(1000), 2))
    assert len(called) < 20
