"""What every provider's store does around a request: a failure is classified, and told with what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import PutResult

_T = TypeVar("_T")


class Calls:
    """Makes requests to one place; safe to share between threads."""

    def __init__(
        self,
        where: str,
        failures: tuple[type[Exception], ...],
        classify: Callable[[Exception, str], StorageError],
    ) -> None:
        """`where` names the place in messages; `failures` are all that the provider's SDK may raise."""
        self._where = where
        self._failures = failures
        self._classify = classify

    def __call__(self, operation: str, key: str, request: Callable[[], _T]) -> _T:
        """The request's answer; `StorageError` naming place, operation and key otherwise."""
        try:
            return request()
        except self._failures as error:
            raise self._classify(error, f"{self._where}: {operation} {key}".rstrip()) from error


def exists(head: Callable[[str], Any], key: str) -> bool:
    """Whether a store's `head` finds the object."""
    try:
        head(key)
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return False
        raise
    return True


def create(
    head: Callable[[str], Any], key: str, send: Callable[[], None], *, atomic: bool, held: str | None = None
) -> PutResult:
    """Have `send` put the object unless it is there. Where the store doesn't look itself, not being `atomic`,
    its `head` is asked before. `held` is its code for what is under retention: that can't be replaced, so it
    is there.
    """
    if not atomic and exists(head, key):
        return PutResult.EXISTED
    try:
        send()
    except StorageError as error:
        if error.kind is ErrorKind.EXISTS or (held is not None and error.code == held):
            return PutResult.EXISTED
        raise
    return PutResult.CREATED
