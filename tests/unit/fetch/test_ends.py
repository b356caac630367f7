"""Offsets of many partitions by one question; what is no offset is never taken for one."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from replicator.fetch.ends import UnansweredError, offsets

PLACES = [("a", 0), ("a", 1), ("b", 0)]
UNKNOWN = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))


class Admin:
    """Answers these offsets, or these errors, in turn; counts the questions."""

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = answers
        self.questions = 0

    def list_offsets(self, asked: dict[Any, Any], **_: Any) -> dict[Any, Future[Any]]:
        self.questions += 1
        found: dict[Any, Future[Any]] = {}
        for partition, answer in zip(asked, self._answers, strict=True):
            future: Future[Any] = Future()
            found[partition] = future
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(SimpleNamespace(offset=answer))
        return found


def ask(admin: Admin, places: list[tuple[str, int]] = PLACES, **more: Any) -> dict[tuple[str, int], int]:
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    return offsets(admin, places, latest, IsolationLevel.READ_COMMITTED, 5.0, **more)


def test_one_question_answers_for_all_and_none_for_nothing() -> None:
    admin = Admin(1, 2, 3)
    assert ask(admin) == {("a", 0): 1, ("a", 1): 2, ("b", 0): 3}
    assert ask(admin, []) == {}
    assert admin.questions == 1


def test_a_place_that_is_gone_is_left_out_where_that_may_be_and_an_error_elsewhere() -> None:
    assert ask(Admin(1, UNKNOWN, 3), gone=("UNKNOWN_TOPIC_OR_PART",)) == {("a", 0): 1, ("b", 0): 3}
    with pytest.raises(UnansweredError) as caught:
        ask(Admin(1, UNKNOWN, 3))
    assert caught.value.topic == "a"
    assert "Unknown topic or partition" in caught.value.words


def test_what_is_no_offset_is_an_error_unless_it_says_that_there_is_none() -> None:
    assert ask(Admin(1, -1, 3), none=-1)["a", 1] == -1
    with pytest.raises(UnansweredError, match="-1001"):
        ask(Admin(1, -1001, 3), none=-1)


def test_no_answer_in_time_says_so() -> None:
    with pytest.raises(UnansweredError) as caught:
        ask(Admin(1, 2, TimeoutError()))
    assert (caught.value.topic, caught.value.words) == ("b", "no answer in time")
