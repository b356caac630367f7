"""A failure of a provider's SDK reaches nobody as it is, and anything else as what it is."""

from __future__ import annotations

from typing import NoReturn

import pytest

from replicator.storage import ErrorKind, StorageError
from replicator.storage.calls import Calls, exists


class SdkError(Exception):
    """What a provider's SDK raises."""


def classify(error: Exception, doing: str) -> StorageError:
    return StorageError(f"{doing}: {error}", kind=ErrorKind.THROTTLED)


def fails(error: Exception) -> NoReturn:
    raise error


CALL = Calls("the bucket", (SdkError, OSError), classify)


def test_what_the_sdk_raises_is_classified_and_says_what_was_done() -> None:
    assert CALL("GET", "a/b", lambda: 7) == 7
    with pytest.raises(StorageError, match=r"^the bucket: GET a/b: slow down$") as caught:
        CALL("GET", "a/b", lambda: fails(SdkError("slow down")))
    assert caught.value.kind is ErrorKind.THROTTLED
    with pytest.raises(StorageError, match=r"^the bucket: connect: no route$"):
        CALL("connect", "", lambda: fails(OSError("no route")))


def test_a_mistake_of_ours_is_no_storage_error() -> None:
    with pytest.raises(ZeroDivisionError):
        CALL("GET", "a", lambda: 1 // 0)


def test_only_an_object_that_is_not_there_does_not_exist() -> None:
    assert exists(lambda key: key, "a")
    assert not exists(lambda _: fails(StorageError("no such key", kind=ErrorKind.NOT_FOUND)), "a")
    with pytest.raises(StorageError, match="forbidden"):
        exists(lambda _: fails(StorageError("forbidden", kind=ErrorKind.AUTH)), "a")
