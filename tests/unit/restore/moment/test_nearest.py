"""Around a refused moment: which stretches are refused, and what is named instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from replicator.debezium.transactions import Commits
from replicator.restore import possible
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.moment import nearest
from replicator.restore.moment.cut import SnapshotPoint

POINT = SnapshotPoint(50, 1_000_000)


def rows(*commits: int) -> list[Any]:
    return [type("Row", (), {"commit": commit}) for commit in commits]


def commits(count: int) -> Commits:
    found = Commits()
    for number in range(1, count + 1):
        found.add(f"{number}:{number * 100}", f"{number}:{number * 100 + 50}", 1000 * number, 1, {})
    return found


def refusing(refused: Iterable[int], asked: list[int] | None = None) -> nearest.Refusal:
    known = set(refused)

    def refusal(number: int) -> SchemaRefusedError | None:
        if asked is not None:
            asked.append(number)
        return SchemaRefusedError("a change", next_step="?") if number in known else None

    return refusal


def test_a_stretch_is_refused_from_one_change_of_the_schema_to_the_next_that_mends_it() -> None:
    asked: list[int] = []
    changes = rows(0, 3, 3, 7, 9)
    found = list(nearest.spans(changes, 0, 20, refusing(range(3, 21), asked)))
    assert found == [(3, 20, "a change")]
    assert set(asked) <= {0, 2, 3, 6, 7, 8, 9, 20}, "inside of a stretch nobody asks"
    assert list(nearest.spans(changes, 0, 20, refusing(range(3, 7)))) == [(3, 6, "a change")]
    assert list(nearest.spans(changes, 0, 5, refusing(range(3)))) == [(0, 2, "a change")]
    assert list(nearest.spans(changes, 4, 6, refusing(range(3, 7)))) == [(4, 6, "a change")]
    assert list(nearest.spans(rows(0), 0, 5, refusing([]))) == []


@pytest.mark.parametrize(
    ("refused", "at", "found"),
    [
        (range(3, 7), 5, (2, 7)),
        (range(3, 9), 3, (2, 9)),
        ([*range(3), *range(3, 7)], 4, (None, 7)),
        (range(3, 21), 12, (2, None)),
        (range(21), 12, (None, None)),
        ([*range(3, 7), *range(9, 21)], 12, (8, None)),
    ],
)
def test_the_nearest_moments_are_the_ends_of_the_stretches_around(
    refused: Iterable[int], at: int, found: tuple[int | None, int | None]
) -> None:
    assert nearest.around(rows(0, 3, 7, 9), at, 0, 20, refusing(refused)) == found


def test_a_refusal_that_begins_inside_of_a_stretch_is_found_there() -> None:
    """A commit with rows of a table that the log doesn't know."""
    changes = rows(0, 3, 900)
    refusal = refusing(range(517, 900))
    assert list(nearest.spans(changes, 0, 1000, refusal)) == [(517, 899, "a change")]
    for at in (517, 600, 899):
        assert nearest.around(changes, at, 0, 1000, refusal) == (516, 900)


def test_a_refusal_names_both_moments_as_options_that_can_be_typed() -> None:
    error = SchemaRefusedError("It was rewritten.", next_step="?")
    told = commits(9)
    both = nearest.named(error, (2, 7), told, POINT)
    assert both.message == "It was rewritten."
    assert both.next_step == (
        "the nearest possible moments: before it --to-lsn 0/FA (1970-01-01 00:00:02+00:00), "
        "after it --to-lsn 0/2EE (1970-01-01 00:00:07+00:00)"
    )
    # Nothing later is stored, so an LSN wouldn't count as reached.
    assert "after it: --to-xid 9 " in str(nearest.named(error, (None, 9), told, POINT).next_step)
    assert "before it: --to-lsn 0/32 " in str(nearest.named(error, (0, None), told, POINT).next_step)
    assert "no moment" in str(nearest.named(error, (None, None), told, POINT).next_step)


@pytest.mark.parametrize(
    ("ranges", "ends"),
    [
        ([], (0, 9)),
        ([(0, 3, "")], (4, 9)),
        ([(0, 1, ""), (2, 3, ""), (5, 6, ""), (8, 9, "")], (4, 7)),
        ([(0, 9, "")], (10, -1)),
    ],
)
def test_what_is_refused_at_the_ends_is_no_end_of_what_is_possible(
    ranges: list[tuple[int, int, str]], ends: tuple[int, int]
) -> None:
    assert possible._ends(0, 9, ranges) == ends
