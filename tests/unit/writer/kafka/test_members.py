"""Who is in a group: asked by another process, once for all who want to know, and never fatal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest

from replicator.writer.kafka import members
from replicator.writer.kafka.members import Member, NoAnswerError, Roster


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_the_answer_is_what_the_other_process_prints() -> None:
    program = python(
        "import json, sys; q = json.load(sys.stdin);"
        "print(json.dumps([{'client_id': q['group'], 'host': q['settings']['bootstrap.servers']}]))"
    )
    assert members.ask({"bootstrap.servers": "b"}, "g", 5.0, program) == [Member("g", "b")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os; os.abort()", "exit status -6"),
        (
            "import os, sys; print('x: Assertion failed.', file=sys.stderr, flush=True); os.abort()",
            "Assertion",
        ),
        ("import sys; sys.exit('no answer in time')", "no answer in time"),
    ],
)
def test_a_process_that_ends_is_no_answer(text: str, said: str) -> None:
    with pytest.raises(NoAnswerError, match=said):
        members.ask({}, "g", 5.0, python(text))


def test_a_broker_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(NoAnswerError):
        members.ask({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "g", 1.0)


class Asked:
    def __init__(self, *answers: list[Member] | NoAnswerError) -> None:
        self.answers = list(answers)
        self.times = 0

    def __call__(self, settings: Mapping[str, Any], group: str, timeout_s: float) -> list[Member]:
        self.times += 1
        answer = self.answers.pop(0)
        if isinstance(answer, NoAnswerError):
            raise answer
        return answer


def test_an_answer_serves_all_who_wanted_to_know_before_it_was_asked_for() -> None:
    asked = Asked([Member("a", "h")], [])
    roster = Roster({}, 1.0, asked)
    since = time.monotonic()
    assert [roster.members("g", since) for _ in range(100)] == [[Member("a", "h")]] * 100
    assert asked.times == 1
    assert roster.members("g") == []


def test_silence_is_told_to_all_who_waited_and_asked_again_afterwards() -> None:
    asked = Asked(NoAnswerError("no answer in time"), [])
    roster = Roster({}, 1.0, asked)
    since = time.monotonic()
    for _ in range(3):
        with pytest.raises(NoAnswerError, match="in time"):
            roster.members("g", since)
    assert asked.times == 1
    assert roster.members("g") == []
