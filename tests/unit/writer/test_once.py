"""`--once` ends when all that Kafka held at the start is committed, by this member or by another."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from replicator.errors import KafkaError
from replicator.segment.name import Place
from replicator.writer import once
from replicator.writer.assignment.assigned import Assigned, State
from replicator.writer.kafka.commits import Committed
from replicator.writer.kafka.group import Cluster
from replicator.writer.loop import Sink
from replicator.writer.once import CaughtUp

A, B, EMPTY = ("t", 0), ("t", 1), ("u", 0)


class Kafka:
    """Two partitions that hold records and one that doesn't, what is committed, and who was asked about."""

    def __init__(self) -> None:
        self.committed: dict[Place, int] = {}
        self.questions: list[list[Place]] = []

    def partitions(self, _: str) -> list[Place]:
        return [A, B, EMPTY]

    def ends(self, _: Iterable[Place]) -> dict[Place, int]:
        return {A: 5, B: 7, EMPTY: 0}

    def commits(self, _: str, places: Iterable[Place]) -> dict[Place, Committed]:
        asked = list(places)
        self.questions.append(asked)
        return {
            place: Committed(self.committed[place], None, None, None)
            for place in asked
            if place in self.committed
        }


class Member:
    """A sink as `--once` sees it."""

    def __init__(self) -> None:
        self.partitions: dict[Place, Assigned] = {}
        self.flushed = 0

    def flush(self) -> None:
        self.flushed += 1

    def has(self, place: Place, *, committed: int, reached: int) -> None:
        writer: Any = SimpleNamespace(reached=reached)
        self.partitions[place] = Assigned(*place, State.RUNNING, writer, committed=committed)


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    monkeypatch.setattr(once, "_OTHERS_S", 0.0)
    return Kafka()


def caught_up(kafka: Kafka, member: Member) -> CaughtUp:
    return CaughtUp(cast(Cluster, kafka), "group", "^.*", cast(Sink, member))


def test_what_others_have_is_asked_for_in_one_question_and_what_is_mine_in_none(kafka: Kafka) -> None:
    member = Member()
    ended = caught_up(kafka, member)
    assert not ended()
    member.has(A, committed=4, reached=5)
    kafka.committed = {A: 5, B: 6}
    assert not ended()
    kafka.committed = {B: 7}
    assert not ended()
    member.has(A, committed=5, reached=5)
    assert ended()
    assert kafka.questions == [[A, B], [B], [B], []]


def test_what_is_open_is_sealed_only_when_all_was_read(kafka: Kafka) -> None:
    member = Member()
    ended = caught_up(kafka, member)
    member.has(A, committed=0, reached=5)
    member.has(B, committed=0, reached=6)
    assert not ended() and member.flushed == 0
    member.has(B, committed=0, reached=7)
    assert not ended() and member.flushed == 1


def test_a_partition_that_stopped_is_not_waited_for_but_named(kafka: Kafka) -> None:
    member = Member()
    ended = caught_up(kafka, member)
    member.has(A, committed=5, reached=5)
    member.partitions[B] = Assigned(*B, State.STOPPED, error=KafkaError("t[1] is gone"))
    assert ended()
    with pytest.raises(KafkaError, match=r"t\[1\] is gone"):
        ended.check()
