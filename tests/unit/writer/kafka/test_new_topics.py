"""A topic that has just come is named, for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from replicator.errors import KafkaError
from replicator.writer.kafka.new_topics import Newcomers, NewTopics


def test_topics_are_new_for_a_while_unless_they_were_there_before() -> None:
    newcomers = Newcomers(named_s=10.0)
    assert newcomers.see({"a", "b"}, 0.0) == []
    assert newcomers.see({"a", "b", "d", "c"}, 5.0) == ["c", "d"]
    assert newcomers.see({"a", "b", "c", "e"}, 14.0) == ["c", "e"]
    assert newcomers.see({"a", "b", "c", "d", "e"}, 15.0) == ["d", "e"], "d went and came again"
    assert newcomers.see({"a", "b", "c", "d", "e"}, 25.0) == []


class Later:
    """Runs nothing by itself."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], float]] = []

    def submit(self, job: Callable[[], None], *, after_s: float = 0.0) -> None:
        self.jobs.append((job, after_s))

    def run(self) -> None:
        job, _ = self.jobs.pop()
        job()


def test_it_is_told_when_the_new_ones_change_and_looks_on_whatever_kafka_says() -> None:
    answers: list[Iterable[str] | KafkaError] = [
        *({"a"}, {"a"}),
        KafkaError("no answer in time", next_step="wait"),
        *({"a", "b"}, {"a", "b"}, {"a"}),
    ]

    def topics() -> Iterable[str]:
        answer = answers.pop(0)
        if isinstance(answer, KafkaError):
            raise answer
        return answer

    told: list[list[str]] = []
    later = Later()
    NewTopics(topics, later, told.append)
    for _ in range(6):
        later.run()
    assert told == [["b"], []]
    assert [after_s >= 1.0 for _, after_s in later.jobs] == [True], "and looks again"
