from __future__ import annotations

import pytest

from replicator.source.canary import TypeVerdict, Verdict
from replicator.source.checks.canary import lines
from replicator.source.checks.check import Level


def verdict(
    *types: TypeVerdict,
    nulls: tuple[str, ...] = (),
    ahead: float = 0.0,
    later: bool = False,
    required: bool = False,
) -> Verdict:
    return Verdict(types, nulls, 0.5, {}, ahead, later, required)


def test_a_null_that_became_the_default_is_a_failure_that_names_column_and_converter() -> None:
    found = list(
        lines(verdict(nulls=("public.guests.diet (text): NULL arrives as 'none'",)), "io.x.Converter")
    )
    (failed,) = [check for check in found if check.level is Level.FAIL]
    assert "public.guests.diet" in failed.found
    assert "io.x.Converter" in str(failed.fix)


def test_a_type_that_arrives_changed_is_a_warning_that_names_its_columns() -> None:
    kind = TypeVerdict("interval[]", ("public.plans.breaks",), ordinary=("{1}: missing",))
    (warned,) = [check for check in lines(verdict(kind), "x") if check.level is Level.WARN]
    assert "interval[]" in warned.name
    assert "public.plans.breaks" in warned.found


def test_a_type_that_nothing_is_known_of_does_not_pass() -> None:
    kind = TypeVerdict("geography", ("public.venues.place",), untried=True)
    assert not kind.passes
    assert any("not proven for public.venues.place" in check.found for check in lines(verdict(kind), "x"))


def test_types_that_pass_are_counted_and_named() -> None:
    found = list(lines(verdict(TypeVerdict("text", ("a.b.c",)), TypeVerdict("date", ("a.b.d",))), "x"))
    assert all(check.level is Level.OK for check in found)
    assert any("2 arrive exactly: text, date" in check.found for check in found)


def test_a_workers_clock_that_is_off_is_told() -> None:
    assert any(check.name == "clock of Connect" for check in lines(verdict(ahead=-7.0), "x"))


@pytest.mark.parametrize(
    ("found", "name"),
    [(verdict(later=True), "canary: ALTER TYPE"), (verdict(required=True), "canary: SET NOT NULL")],
)
def test_a_worker_that_reads_rows_as_of_later_is_told_with_the_jar_that_mends_it(
    found: Verdict, name: str
) -> None:
    (warned,) = [check for check in lines(found, "x") if check.level is Level.WARN]
    assert warned.name == name
    assert "0-replicator-stream-types.jar" in str(warned.fix)
