"""What control's topic is told of dead letters that need a person."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from replicator.config import Config
from replicator.control.events import topic
from replicator.control.events.event import Event, Kind
from replicator.control.events.letters import LetterEvents, escalation
from replicator.deadletter.letter import Kind as LetterKind
from replicator.deadletter.letter import Letter, Reason, range_letter
from replicator.errors import KafkaError
from replicator.segment.name import Chain

CHAIN = Chain("w.public.guests", "A" * 22, 0)


def escalated(first: int) -> Letter:
    letter = range_letter("azure", CHAIN, first, first + 10, "403", 1)
    return letter.answered(LetterKind.ESCALATION, Reason.UNRESOLVED, "Nobody has it any more.", 2, "ann@h")


def test_many_letters_are_one_event_that_says_what_to_do() -> None:
    event = escalation([escalated(10), escalated(40)], 5)
    assert (event.kind, event.destination, event.subject) == (Kind.ESCALATED, "azure", escalated(10).id)
    assert (event.by, event.at_ms, event.facts) == ("ann@h", 5, {"letters": 2.0})
    assert "2 dead letters can't be closed without you" in event.reason
    assert "w.public.guests[0] offsets 10 to 19 and 1 more" in event.reason
    assert "Nobody has it any more." in event.reason
    assert f"replicator dlq discard azure {escalated(10).id}" in event.reason


def test_what_is_told_again_after_a_crash_is_known_by_its_id() -> None:
    assert escalation([escalated(10)], 5).id == escalation([escalated(10)], 9).id
    assert escalation([escalated(10)], 5).id != escalation([escalated(20)], 5).id


@pytest.fixture
def config() -> Config:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9"},
        "registry": {"url": "http://127.0.0.1:9"},
        "source": {"dsn": "postgresql:///x", "connect_url": "http://127.0.0.1:9"},
    }
    return Config(installation="w", **sections)


def test_nothing_is_told_where_control_has_never_run(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Event] = []
    monkeypatch.setattr(topic, "send", lambda _, event: sent.append(event))
    monkeypatch.setattr(topic, "exists", lambda _: False)
    LetterEvents(config).escalated([escalated(10)])
    assert sent == []
    monkeypatch.setattr(topic, "exists", lambda _: True)
    LetterEvents(config).escalated([escalated(10)])
    LetterEvents(config).none_left("azure", "ann@h")
    assert [(each.kind, each.destination) for each in sent] == [
        (Kind.ESCALATED, "azure"),
        (Kind.LETTERS_SETTLED, "azure"),
    ]


def test_a_topic_that_takes_nothing_holds_no_letter_up(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Config) -> bool:
        raise KafkaError("no broker answers")

    monkeypatch.setattr(topic, "exists", refuse)
    with capture_logs() as logs:
        LetterEvents(config).escalated([escalated(10)])
    assert "no broker answers" in logs[0]["error"]
