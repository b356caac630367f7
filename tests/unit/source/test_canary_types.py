from __future__ import annotations

from replicator.debezium.pgtypes import PgType
from replicator.debezium.values import CONVERSIONS
from replicator.source.canary_types import SAMPLES, samples


def test_every_type_with_a_known_conversion_has_a_value_that_tries_it() -> None:
    assert [name for name in CONVERSIONS if name != "bit" and name not in SAMPLES] == []


def test_a_bit_string_has_its_own_length() -> None:
    assert samples(PgType("bit", length=5)).ordinary == ("10110", "00000")
    assert samples(PgType("bit")).ordinary == ("1", "0")


def test_an_enum_is_tried_with_its_first_and_last_label() -> None:
    assert samples(PgType("mood", "e"), ["sad", "so so", "happy"]).ordinary == ("sad", "happy")
    assert samples(PgType("mood", "e"), ["only"]).ordinary == ("only",)


def test_a_row_type_is_tried_with_as_many_fields_as_it_has() -> None:
    assert samples(PgType("pair", "c"), attributes=3).ordinary == ("(,,)",)


def test_an_arrays_rare_values_are_nulls_dimensions_bounds_and_its_elements_rare_values() -> None:
    found = samples(PgType("_numeric", element=PgType("numeric")))
    assert '{"1.10"}' in found.ordinary
    assert '{"1.10",NULL}' in found.rare
    assert '{{"1.10","1.10"},{"1.10","1.10"}}' in found.rare
    assert '[2:3]={"1.10","1.10"}' in found.rare
    assert '{"NaN","Infinity","-Infinity"}' in found.rare


def test_an_unknown_type_has_no_value_to_try() -> None:
    assert samples(PgType("geography")).ordinary == ()
    assert samples(PgType("_geography", element=PgType("geography"))).ordinary == ()
