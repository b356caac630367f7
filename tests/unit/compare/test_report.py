from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.compare.digest import Digests, SequencePosition, Table, TableDigest
from replicator.compare.report import compare

GUESTS = TableDigest(Table("public", "guests", ("id", "name"), ("id",)), 3, "12:-7", 0.1)
EMPTY = TableDigest(Table("public", "empty", ("id",), ()), 0, "0:0", 0.0)
SEQUENCE = SequencePosition("public.s", 10, True, 1, "public.guests.id", 10)
SOURCE = Digests(
    {"public.guests": GUESTS, "public.empty": EMPTY},
    {"column public.guests.id": "number 1 integer"},
    {"public.s": SEQUENCE},
    ("public.cache",),
)


def test_a_database_equals_itself() -> None:
    report = compare(SOURCE, SOURCE)
    assert report.equal
    assert report.lines() == []
    assert report.rows == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(GUESTS, digest="12:-8"), "with different values"),
        (replace(GUESTS, rows=2), "3 rows in the source, 2 rows in the target"),
        (replace(GUESTS, table=replace(GUESTS.table, columns=("name", "id"))), "with different values"),
    ],
)
def test_a_table_with_other_rows_is_named(changed: TableDigest, said: str) -> None:
    report = compare(SOURCE, replace(SOURCE, tables={**SOURCE.tables, "public.guests": changed}))
    assert not report.equal
    assert [table.name for table in report.different_tables] == ["public.guests"]
    assert said in report.lines()[0]


def test_an_empty_table_that_is_missing_is_a_difference() -> None:
    report = compare(SOURCE, replace(SOURCE, tables={"public.guests": GUESTS}))
    assert not report.equal
    assert report.lines() == ["public.empty: 0 rows in the source, no such table in the target"]


def test_a_table_that_only_the_target_has_is_a_difference() -> None:
    report = compare(replace(SOURCE, tables={"public.guests": GUESTS}), SOURCE)
    assert not report.equal


@pytest.mark.parametrize("target", [{}, {"column public.guests.id": "number 1 bigint"}])
def test_another_definition_is_a_difference(target: dict[str, str]) -> None:
    report = compare(SOURCE, replace(SOURCE, definitions=target))
    assert not report.equal
    assert report.lines()[0].startswith("column public.guests.id: number 1 integer in the source")


@pytest.mark.parametrize(
    ("position", "fit"),
    [
        (SEQUENCE, True),
        (replace(SEQUENCE, last_value=5000), True),
        (replace(SEQUENCE, last_value=9), False),
        (replace(SEQUENCE, last_value=11, is_called=False), True),
        (replace(SEQUENCE, last_value=10, is_called=False), False),
        (replace(SEQUENCE, extreme=None, last_value=1), True),
        (replace(SEQUENCE, increment=-1, last_value=-3, extreme=-3), True),
        (replace(SEQUENCE, increment=-1, last_value=-2, extreme=-3), False),
    ],
)
def test_a_sequence_must_not_hand_out_a_taken_value(position: SequencePosition, fit: bool) -> None:
    report = compare(SOURCE, replace(SOURCE, sequences={"public.s": position}))
    assert report.equal is fit
    assert len(report.lines()) == (0 if fit else 1)


def test_a_missing_sequence_is_a_difference() -> None:
    assert not compare(SOURCE, replace(SOURCE, sequences={})).equal


def test_unlogged_tables_are_named_as_not_compared() -> None:
    assert compare(SOURCE, SOURCE).as_dict()["unlogged"] == ("public.cache",)
