"""A failure of a provider's SDK reaches nobody as it is, and anything else as what it is."""

from __future__ import annotations

from typing import NoReturn

import pytest

from replicator.storage import ErrorKind, PutResult, StorageError
from replicator.storage.calls import Calls, create, exists


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


def test_a_store_that_does_not_look_itself_is_asked_before_anything_is_sent() -> None:
    sent: list[str] = []
    gone = StorageError("no such key", kind=ErrorKind.NOT_FOUND)

    def put() -> None:
        sent.append("a")

    assert create(lambda key: key, "a", put, atomic=False) is PutResult.EXISTED
    assert not sent
    assert create(lambda _: fails(gone), "a", put, atomic=False) is PutResult.CREATED
    assert create(lambda _: fails(ZeroDivisionError()), "a", put, atomic=True) is PutResult.CREATED
    assert sent == ["a", "a"]


@pytest.mark.parametrize(
    ("error", "there"),
    [
        (StorageError("it is there", kind=ErrorKind.EXISTS), True),
        (StorageError("under retention", kind=ErrorKind.AUTH, code="Held"), True),
        (StorageError("forbidden", kind=ErrorKind.AUTH, code="Forbidden"), False),
        (StorageError("forbidden", kind=ErrorKind.AUTH), False),
    ],
)
def test_a_refusal_may_say_that_it_is_there(error: StorageError, there: bool) -> None:
    if there:
        assert create(str, "a", lambda: fails(error), atomic=True, held="Held") is PutResult.EXISTED
    else:
        with pytest.raises(StorageError, match="forbidden"):
            create(str, "a", lambda: fails(error), atomic=True, held="Held")
