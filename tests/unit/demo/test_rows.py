from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from demo import columns, rows

KINDS: dict[str, tuple[tuple[str, ...], Callable[[Random], rows.Row]]] = {
    "wedding": (columns.WEDDING, lambda rng: rows.wedding(rng, 1)),
    "household": (columns.HOUSEHOLD, lambda rng: rows.household(rng, 1, 1)),
    "guest": (columns.GUEST, lambda rng: rows.guest(rng, 1, 1)),
    "event": (columns.EVENT, lambda rng: rows.event(rng, 1, 0)),
    "rsvp": (columns.RSVP, lambda rng: rows.rsvp(rng, 1, rows.uuid(rng), "dinner")),
    "vendor": (columns.VENDOR, lambda rng: rows.vendor(rng, 1)),
    "booking": (columns.BOOKING, lambda rng: rows.booking(rng, 1, 1, 1, 100007)),
    "payment": (columns.PAYMENT, lambda rng: rows.payment(rng, 1, 1, 1, rows.money(rng, 1, 9))),
    "budget_line": (columns.BUDGET_LINE, lambda rng: rows.budget_line(rng, 1, 1)),
    "photo": (columns.PHOTO, lambda rng: rows.photo(rng, 1, [])),
    "document": (columns.DOCUMENT, lambda rng: rows.document(rng, 1, 1)),
    "task": (columns.TASK, lambda rng: rows.task(rng, 1, 1, None)),
    "reading": (columns.READING, lambda rng: rows.reading(rng, 1, 1)),
    "activity": (columns.ACTIVITY, lambda rng: rows.activity(rng, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_a_value_for_each_of_its_columns(kind: str) -> None:
    names, make = KINDS[kind]
    assert {len(make(Random(seed))) for seed in range(200)} == {len(names)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_history(kind: str) -> None:
    make = KINDS[kind][1]
    # repr, because NaN is not equal to itself.
    assert repr([make(Random(3)) for _ in range(3)]) == repr([make(Random(3)) for _ in range(3)])
    assert repr(make(Random(3))) != repr(make(Random(4)))


def test_columns_with_a_default_are_null_now_and_then() -> None:
    made = [rows.wedding(Random(seed), seed) for seed in range(200)]
    for column in (
        "currency",
        "budget",
        "guest_target",
        "time_zone",
        "style",
        "tags",
        "notes",
        "portal_open",
    ):
        at = columns.WEDDING.index(column)
        assert {row[at] is None for row in made} == {True, False}, column


def test_an_answer_has_its_moment() -> None:
    rng = Random(5)
    for _ in range(300):
        answer = dict(zip(columns.RSVP, rows.rsvp(rng, 1, rows.uuid(rng), "party"), strict=True))
        assert (answer["answer"] == "pending") is (answer["replied_at"] is None)
