"""Topic ids: a question asked after the record answers, and one topic's trouble is only its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from replicator.errors import KafkaError
from replicator.writer.kafka import topic_identity
from replicator.writer.kafka.group import Cluster
from replicator.writer.kafka.topic_identity import TopicIdentity
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Supervisor

DEADLINE_S = 20.0


class FakeCluster(Cluster):
    def __init__(self, **ids: str | KafkaError) -> None:
        self.ids = ids

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str | KafkaError]:
        return {topic: self.ids[topic] for topic in topics if topic in self.ids}


class Answer:
    def __init__(self) -> None:
        self.came = threading.Event()
        self.id: str | None = "none yet"

    def __call__(self, topic_id: str | None) -> None:
        self.id = topic_id
        self.came.set()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_identity, "_RETRY_S", 0.05)


def test_a_topic_that_kafka_does_not_describe_holds_up_no_other() -> None:
    cluster, health = FakeCluster(good="A", bad=KafkaError("not authorized")), Health()
    topics = TopicIdentity(cluster, health, Supervisor())
    bad, good, gone = Answer(), Answer(), Answer()
    topics.ask("bad", bad, lambda: True)
    topics.ask("good", good, lambda: True)
    topics.ask("gone", gone, lambda: True)
    assert good.came.wait(DEADLINE_S), "the good topic waits for the bad one"
    assert gone.came.wait(DEADLINE_S)
    assert (good.id, gone.id) == ("A", None)
    assert not bad.came.is_set()
    assert "not authorized" in str(health.problems())
    cluster.ids["bad"] = "B"
    assert bad.came.wait(DEADLINE_S), "the question wasn't asked again"
    assert bad.id == "B"


def test_nobody_asks_on_for_a_segment_that_was_given_up() -> None:
    cluster, health = FakeCluster(bad=KafkaError("not authorized")), Health()
    topics = TopicIdentity(cluster, health, Supervisor())
    bad, later = Answer(), Answer()
    topics.ask("bad", bad, lambda: False)
    cluster.ids["bad"] = "B"
    topics.ask("bad", later, lambda: True)
    assert later.came.wait(DEADLINE_S)
    assert not bad.came.is_set()
