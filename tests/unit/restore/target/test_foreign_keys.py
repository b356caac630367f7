"""When a foreign key is built: not before both its tables have all that it stands on, and only once."""

from __future__ import annotations

from replicator.restore.schema.dump import Entry
from replicator.restore.target.foreign_keys import TYPE, ForeignKeys


def key(table: str, referenced: str) -> Entry:
    statement = f"ALTER TABLE ONLY {table} ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES {referenced}(id)"
    return Entry(TYPE, f"{table} {referenced}", (statement,))


PETS = key("public.pets", "public.people")
SELF = key("public.people", "public.people")
ODD = key('public."odd Name"', 'other."a ""b"""')


def test_a_key_waits_for_every_piece_of_work_of_both_its_tables() -> None:
    keys = ForeignKeys([PETS], {"public.pets": 2, "public.people": 1})
    assert keys.done("public.pets") == []
    assert keys.done("public.people") == []
    assert keys.done("public.pets") == [PETS]
    assert keys.rest() == []


def test_a_key_of_a_table_to_itself_waits_for_that_table_alone() -> None:
    keys = ForeignKeys([PETS, SELF], {"public.pets": 1, "public.people": 1})
    assert keys.done("public.people") == [SELF]


def test_quoted_names_are_told_as_postgresql_writes_them() -> None:
    keys = ForeignKeys([ODD], {'public."odd Name"': 1, 'other."a ""b"""': 0})
    assert keys.done('public."odd Name"') == [ODD]


def test_keys_of_tables_without_known_work_are_left_for_the_end_and_given_out_once() -> None:
    keys = ForeignKeys([PETS, SELF], {"public.people": 1})
    assert keys.rest() == [PETS, SELF]
    assert keys.done("public.people") == []
    assert keys.rest() == []


def test_a_statement_that_says_no_table_is_left_for_the_end() -> None:
    odd = Entry(TYPE, "odd", ("ALTER TABLE pets ADD FOREIGN KEY (a) REFERENCES people",))
    assert ForeignKeys([odd], {"pets": 1, "people": 1}).rest() == [odd]
