"""Who is told what, and how often, in simulated time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from replicator.config import Notify
from replicator.control.events.event import Event, Kind
from replicator.notify.notices import Ledger, Level

SETTINGS = Notify(min_interval_s=600, repeat_every_s=3600)


def event(kind: Kind, at: float, subject: str | None = None, destination: str | None = "aws") -> Event:
    return Event(kind, int(at * 1000), "control@h:1", f"{kind} because", destination, subject)


def down(at: float) -> Event:
    return event(Kind.HEALTH, at, "down")


def healthy(at: float) -> Event:
    return event(Kind.HEALTH, at, "healthy")


def told(ledger: Ledger, now: float) -> list[str]:
    """The titles of what is due, delivered."""
    due = ledger.due(now)
    for key, _ in due:
        ledger.told(key, now)
    return [notice.title for _, notice in due]


def ledger() -> Ledger:
    return Ledger(SETTINGS, "weddings")


def test_letters_that_need_a_person_are_one_matter_until_none_is_left() -> None:
    book = ledger()
    book.see(event(Kind.ESCALATED, 0, "0123"))
    book.see(event(Kind.ESCALATED, 5, "4567"))
    assert told(book, 10) == ["[weddings] aws lacks records that need you"]
    book.see(event(Kind.LETTERS_SETTLED, 20))
    assert told(book, 30) == ["[weddings] over: aws lacks records that need you"]


def test_what_begins_is_told_once_and_again_when_it_is_over() -> None:
    book = ledger()
    book.see(down(0))
    [(_, notice)] = book.due(0)
    assert notice.level is Level.BAD and notice.title == "[weddings] aws is down"
    assert "health because" in notice.body and "Kafka keeps" in notice.body and "1970-01-01" in notice.body
    assert told(book, 0) == ["[weddings] aws is down"]
    book.see(down(5))
    assert told(book, 10) == []
    book.see(healthy(20))
    assert told(book, 20) == ["[weddings] over: aws is down"]
    assert told(book, 10_000) == []


def test_what_was_not_taken_is_due_until_it_is() -> None:
    book = ledger()
    book.see(down(0))
    assert (
        [n.title for _, n in book.due(0)] == [n.title for _, n in book.due(5)] == ["[weddings] aws is down"]
    )


def test_what_flaps_is_told_at_most_once_in_the_interval_with_how_often() -> None:
    book = ledger()
    for at in range(0, 600, 20):
        book.see(down(at))
        book.see(healthy(at + 10))
        book.see(down(at + 15))
        titles = told(book, at + 16)
        assert titles == (["[weddings] aws is down"] if at == 0 else [])
    book.see(healthy(600))
    assert told(book, 600) == ["[weddings] over: aws is down"]
    book.see(down(601))
    [(_, notice)] = book.due(620)
    assert "It came and went" in notice.body


def test_what_comes_and_goes_between_two_looks_is_not_told() -> None:
    book = ledger()
    book.see(down(0))
    book.see(healthy(1))
    assert told(book, 2) == []


def test_what_is_not_over_is_repeated() -> None:
    book = ledger()
    book.see(event(Kind.ALERT, 0, "slot_lost", None))
    assert told(book, 0) == ["[weddings] slot lost"]
    assert told(book, 3599) == []
    assert told(book, 3600) == ["[weddings] still: slot lost"]


def test_what_another_process_told_is_not_told_again_but_its_end_is() -> None:
    book = ledger()
    book.see(down(0), told=True)
    book.see(event(Kind.PROMISE_BROKEN, 1, None, None))
    assert told(book, 2) == ["[weddings] fewer copies than promised"]
    book.see(healthy(3))
    assert told(book, 4) == ["[weddings] over: aws is down"]


def test_a_degraded_destination_is_no_longer_down_and_routine_is_nobodys_business() -> None:
    book = ledger()
    book.see(down(0))
    told(book, 0)
    book.see(event(Kind.HEALTH, 1, "degraded"))
    assert told(book, 1) == ["[weddings] over: aws is down"]
    for kind in (Kind.LEADER, Kind.ASKED, Kind.REFUSED):
        book.see(event(kind, 2))
    assert told(book, 2) == []


def test_alerts_of_several_destinations_are_told_apart() -> None:
    book = ledger()
    book.see(event(Kind.ALERT, 0, "retention_near", "aws"))
    book.see(event(Kind.ALERT, 0, "retention_near", "gcs"))
    assert told(book, 0) == ["[weddings] retention near (aws)", "[weddings] retention near (gcs)"]
    book.see(event(Kind.ALERT_OVER, 1, "retention_near", "gcs"))
    assert told(book, 1) == ["[weddings] over: retention near (gcs)"]


@given(st.lists(st.tuples(st.floats(0.1, 900), st.booleans()), max_size=80))
def test_beginnings_keep_their_distance_and_the_last_word_is_the_truth(
    steps: list[tuple[float, bool]],
) -> None:
    book, now, begun, last = ledger(), 0.0, [], None
    so = False
    for wait_s, so_now in steps:
        now, so = now + wait_s, so_now
        book.see(down(now) if so else healthy(now))
        for title in told(book, now):
            last = "over" not in title
            if last and "still" not in title:
                begun.append(now)
    assert all(later - earlier >= 600 for earlier, later in pairwise(begun))
    for title in told(book, now + 600):
        last = "over" not in title
    assert bool(last) == so
