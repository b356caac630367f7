"""Answers that aren't any are never an offset."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from replicator import config
from replicator.errors import KafkaError
from replicator.writer.kafka.group import Cluster


def answered(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class Client:
    """An admin client that gives one offset, or doesn't answer."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def list_offsets(self, asked: dict[Any, Any], **_: Any) -> dict[Any, Future[Any]]:
        failed: Future[Any] = Future()
        failed.set_exception(TimeoutError())
        return {
            each: failed if self._offset is None else answered(SimpleNamespace(offset=self._offset))
            for each in asked
        }


def cluster_of(client: Client) -> Cluster:
    return Cluster(config.Kafka(bootstrap_servers="127.0.0.1:1"), "test", connect=lambda _: client)


def test_an_offset_that_is_none_is_an_error_and_not_a_place_to_begin() -> None:
    cluster = cluster_of(Client(-1001))
    with pytest.raises(KafkaError, match="-1001"):
        cluster.earliest("t", 0)


def test_no_answer_is_an_error_that_says_so() -> None:
    with pytest.raises(KafkaError, match="no answer in time"):
        cluster_of(Client(None)).earliest("t", 0)


def test_many_ends_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(7)
    cluster = cluster_of(client)
    questions = 0
    answer = client.list_offsets

    def counted(asked: dict[Any, Any], **more: Any) -> dict[Any, Future[Any]]:
        nonlocal questions
        questions += 1
        return answer(asked, **more)

    monkeypatch.setattr(client, "list_offsets", counted)
    assert cluster.ends([("t", 0), ("t", 1), ("u", 0)]) == {("t", 0): 7, ("t", 1): 7, ("u", 0): 7}
    assert questions == 1
    assert cluster.ends([]) == {}
