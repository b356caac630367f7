from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest

from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State, apply, refusal


def event(kind: Kind, epoch: int, number: int, **more: object) -> Event:
    return replace(Event(kind, 1_000 * epoch + number, "control@a:1", epoch=epoch, number=number), **more)  # type: ignore[arg-type]


LED = apply(State(), event(Kind.LEADER, 5, 1))


@pytest.mark.parametrize(
    ("late", "why"),
    [
        (event(Kind.ACTIVATED, 4, 9, destination="b"), "epoch 4 was over: epoch 5 leads"),
        (event(Kind.ACTIVATED, 6, 1, destination="b"), "epoch 6 hasn't begun"),
        (event(Kind.ACTIVATED, 5, 1, destination="b"), "number 1 of epoch 5 is out of order"),
        (event(Kind.LEADER, 5, 1), "out of order"),
    ],
)
def test_an_event_out_of_order_changes_nothing_and_says_why(late: Event, why: str) -> None:
    assert why in (refusal(LED, late) or "")
    assert apply(LED, late) is LED


def test_what_people_ask_counts_in_any_epoch_until_a_leader_answers() -> None:
    asked = Event(Kind.ASKED, 1, "ann", "maintenance", "b", "activate")
    state = apply(LED, asked)
    assert state.asked == {asked.id: asked}
    answered = apply(state, event(Kind.ACTIVATED, 5, 2, destination="b", answers=asked.id))
    assert not answered.asked
    assert answered.duties["b"].manual


@pytest.mark.parametrize("kind", [Kind.ESCALATED, Kind.LETTERS_SETTLED])
def test_what_the_replay_tells_is_in_order_in_any_epoch_and_changes_no_state(kind: Kind) -> None:
    told = Event(kind, 1, "ann", "a dead letter needs you", "b", "0123")
    assert refusal(LED, told) is None
    assert apply(LED, told) == LED
    assert refusal(apply(LED, told), event(Kind.HEALTH, 5, 2, destination="a", subject="down")) is None


def test_the_state_is_the_sum_of_its_events() -> None:
    events = [
        event(Kind.PROMISE_BROKEN, 5, 2),
        event(Kind.HEALTH, 5, 3, destination="a", subject="down"),
        event(Kind.ACTIVATED, 5, 4, destination="b"),
        event(Kind.COPIED, 5, 5, destination="b"),
        event(Kind.ALERT, 5, 6, destination="a", subject="retention"),
        event(Kind.LEADER, 6, 1),
        event(Kind.PROMISE_KEPT, 6, 2),
        event(Kind.PAUSED, 6, 3),
    ]
    state = reduce(apply, events, LED)
    assert (state.epoch, state.number) == (6, 3)
    assert state.active("b") and state.duties["b"].copied and not state.duties["b"].manual
    assert state.health["a"].subject == "down"
    assert set(state.alerts) == {"retention/a"}
    assert state.broken is None and state.paused is not None
    state = reduce(
        apply,
        [
            event(Kind.RELEASED, 6, 4, destination="b"),
            event(Kind.ALERT_OVER, 6, 5, destination="a", subject="retention"),
            event(Kind.RESUMED, 6, 6),
        ],
        state,
    )
    assert not state.active("b") and not state.alerts and state.paused is None


def test_a_kind_of_a_later_version_is_left_alone_but_counted() -> None:
    state = apply(LED, replace(event(Kind.LEADER, 5, 2), kind="moved_house"))
    assert state == replace(LED, number=2)
