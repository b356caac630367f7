"""Many calls at once, and few of them waiting: what there is to do may be a listing of millions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def parallel(name: str, call: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[_R]:
    """The results in the order in which they come, at most `threads` calls at once and few waiting.

    The threads bear that name. The first error ends it: what runs is finished, what waits is dropped.
    """
    running: set[Future[_R]] = set()
    with ThreadPoolExecutor(threads, name) as pool:
        try:
            for item in items:
                running.add(pool.submit(call, item))
                if len(running) >= 2 * threads:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in finished)
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in finished)
        finally:
            pool.shutdown(cancel_futures=True)
