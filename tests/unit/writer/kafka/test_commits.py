"""What a group has committed, as its client tells it."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from replicator.segment.name import Chain
from replicator.writer.destination import Fingerprint
from replicator.writer.kafka.commits import Commits, Committed, commit_metadata

NONE = -1001
"""librdkafka's offset of a partition without a commit."""


class Client:
    """A consumer that answers with what it was given, by partition."""

    def __init__(self, settings: dict[str, Any], answers: dict[int, tuple[int, str | None]]) -> None:
        self.settings = settings
        self._answers = answers
        self.error: KafkaError | None = None

    def committed(self, asked: list[TopicPartition], timeout: float) -> list[Any]:
        assert timeout == 5.0
        return [self._answer(each) for each in asked]

    def _answer(self, asked: TopicPartition) -> Any:
        offset, metadata = self._answers.get(asked.partition, (NONE, None))
        return type(
            "Answer",
            (),
            {
                "topic": asked.topic,
                "partition": asked.partition,
                "offset": offset,
                "metadata": metadata,
                "error": self.error,
            },
        )()


def commits_of(answers: dict[int, tuple[int, str | None]]) -> tuple[Commits, list[Client]]:
    made: list[Client] = []

    def connect(settings: dict[str, Any]) -> Client:
        made.append(Client(settings, answers))
        return made[-1]

    return Commits({"bootstrap.servers": "127.0.0.1:1"}, connect=connect), made


def test_a_commit_of_ours_says_whose_it_is() -> None:
    mine = Fingerprint("digest", "s3://weddings")
    said = commit_metadata(mine, Chain("t", "AAAA", 0))
    commits, _ = commits_of({0: (7, said)})
    assert commits.read("g", [("t", 0), ("t", 1)], 5.0) == {
        ("t", 0): Committed(7, "digest", "s3://weddings", "AAAA")
    }


@pytest.mark.parametrize("metadata", [None, "", "not ours", "[1]", '"x"'])
def test_a_commit_of_others_is_an_offset_and_nothing_more(metadata: str | None) -> None:
    commits, _ = commits_of({0: (0, metadata)})
    assert commits.read("g", [("t", 0)], 5.0) == {("t", 0): Committed(0, None, None, None)}


def test_each_group_has_one_client_that_never_subscribes_and_sees_stable_offsets_alone() -> None:
    commits, made = commits_of({})
    for group in ("a", "b", "a"):
        commits.read(group, [("t", 0)], 5.0)
    assert [client.settings["group.id"] for client in made] == ["a", "b"]
    assert all(client.settings["isolation.level"] == "read_committed" for client in made)


def test_without_a_place_nobody_is_asked() -> None:
    commits, made = commits_of({})
    assert commits.read("g", [], 5.0) == {}
    assert not made


def test_a_partition_s_error_is_no_missing_commit() -> None:
    commits, made = commits_of({0: (7, None)})
    commits.read("g", [("t", 0)], 5.0)
    made[0].error = KafkaError(KafkaError.NOT_COORDINATOR)
    with pytest.raises(KafkaException):
        commits.read("g", [("t", 0)], 5.0)
