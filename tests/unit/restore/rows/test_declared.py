from __future__ import annotations

import pytest

from replicator.debezium.pgtypes import PgType
from replicator.restore.rows.declared import Types

TYPES = Types(
    [
        "CREATE TYPE public.mood AS ENUM (\n    'sad',\n    'ok'\n)",
        "CREATE TYPE public.\"Odd type\" AS ENUM ('a')",
        "CREATE DOMAIN public.amount AS numeric(12,2) DEFAULT 0 NOT NULL",
        "CREATE DOMAIN public.email AS text\n\tCONSTRAINT at CHECK ((VALUE ~ '@'::text))",
        "CREATE DOMAIN public.feeling AS public.mood",
        "CREATE TYPE public.spans AS RANGE (\n    subtype = int4\n)",
        "CREATE TYPE public.pair AS (\n\ta integer,\n\tb text\n)",
        "CREATE DOMAIN later AS bigint",
    ]
)


@pytest.mark.parametrize(
    ("text", "name", "kind", "numeric"),
    [
        ("integer", "int4", "b", None),
        ("character varying(40)", "varchar", "b", None),
        ("timestamp(3) with time zone", "timestamptz", "b", None),
        ("timestamp without time zone", "timestamp", "b", None),
        ("double precision", "float8", "b", None),
        ('"char"', "char", "b", None),
        ("numeric", "numeric", "b", None),
        ("numeric(12,2)", "numeric", "b", (12, 2)),
        ("numeric(5,0)", "numeric", "b", (5, 0)),
        ("public.amount", "numeric", "b", (12, 2)),
        ("public.email", "text", "b", None),
        ("public.later", "int8", "b", None),
        ("public.mood", "mood", "e", None),
        ("public.feeling", "mood", "e", None),
        ('public."Odd type"', "Odd type", "e", None),
        ("public.spans", "spans", "r", None),
        ("public.pair", "pair", "c", None),
        ("public.hstore", "hstore", "b", None),
        ("tsrange", "tsrange", "b", None),
    ],
)
def test_a_declaration_says_what_a_type_is(
    text: str, name: str, kind: str, numeric: tuple[int, int] | None
) -> None:
    found, precision = TYPES.of(text)
    assert (found.name, found.kind, found.element, precision) == (name, kind, None, numeric)


def test_arrays_have_their_element() -> None:
    assert TYPES.of("public.mood[]")[0].element == PgType("mood", "e")
    assert TYPES.of("numeric(10,2)[]") == (PgType("_numeric", element=PgType("numeric")), (10, 2))
    # Debezium wasn't seen to carry arrays of domains; `conversion` refuses them by this kind.
    assert TYPES.of("public.amount[]")[0].element == PgType("amount", "d")


def test_a_bit_string_has_its_length() -> None:
    assert TYPES.of("bit(8)")[0].length == 8
    assert TYPES.of("bit(1)")[0].length == 1


def test_a_type_that_nothing_makes_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        TYPES.of("public.unheard")
