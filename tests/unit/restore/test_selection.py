from __future__ import annotations

from typing import Any

import pytest

from replicator.errors import ConfigError, RefusedError
from replicator.restore.selection import Owner, Role, Selection, choose


def table(
    name: str,
    columns: str,
    *keys: str,
    primary: str = "id",
    partition_of: str | None = None,
    inherits: list[str] | None = None,
) -> dict[str, Any]:
    """A definition as the log has it; `keys` are foreign keys, `columns` names with blanks between."""
    constraints = [{"name": f"{name}_pkey", "type": "p", "definition": f"PRIMARY KEY ({primary})"}]
    constraints += [
        {"name": f"{name}_{number}_fkey", "type": "f", "definition": f"FOREIGN KEY {key}"}
        for number, key in enumerate(keys)
    ]
    return {
        "table": name,
        "columns": [{"name": each} for each in columns.split()],
        "constraints": constraints,
        "partition_of": partition_of,
        "inherits": inherits,
    }


LOGGED = {
    each["table"]: each
    for each in (
        table("public.weddings", "id title"),
        table("public.guests", "id wedding_id", "(wedding_id) REFERENCES public.weddings(id)"),
        table("public.meals", "id guest", "(guest) REFERENCES public.guests(id) ON DELETE CASCADE"),
        table("public.courses", "id meal", "(meal) REFERENCES public.meals(id)"),
        table("public.cities", "id"),
        table("public.vendors", "id city", "(city) REFERENCES public.cities(id)"),
        table("public.reviews", "id vendor", "(vendor) REFERENCES public.vendors(id)"),
        table(
            "public.bookings",
            "id wedding_id vendor",
            "(wedding_id) REFERENCES public.weddings(id)",
            "(vendor) REFERENCES public.vendors(id)",
        ),
        table("public.bookings_2026", "id wedding_id vendor", partition_of="public.bookings"),
        table('archive."Old guests"', "id wedding_id"),
        table("archive.guests", "id", inherits=['archive."Old guests"']),
    )
}
CAPTURED = [
    *(f"public.{name}" for name in ("weddings", "guests", "meals", "courses", "cities", "vendors")),
    *("public.reviews", "public.bookings", "archive.Old guests", "archive.guests"),
]


def chosen(*tables: str, schemas: tuple[str, ...] = (), owner: Owner | None = None) -> Any:
    return choose(Selection(tables, schemas, owner), LOGGED, CAPTURED)


def test_without_a_choice_nothing_is_left_out() -> None:
    found = chosen()
    assert found.everything
    assert found.has("public.guests")
    assert found.definitions(LOGGED) == LOGGED


def test_a_table_comes_with_its_partitions_and_without_keys_to_what_is_left_out() -> None:
    found = chosen("bookings", "public.weddings")
    assert set(found.roles) == {"public.bookings", "public.weddings"}
    assert [str(key) for key in found.cut_keys] == [
        "public.bookings_1_fkey of public.bookings, which refers to public.vendors"
    ]
    kept = found.definitions(LOGGED)
    assert set(kept) == {"public.bookings", "public.bookings_2026", "public.weddings"}
    assert [each["name"] for each in kept["public.bookings"]["constraints"]] == [
        "public.bookings_pkey",
        "public.bookings_0_fkey",
    ]
    assert 'archive."Old guests"' in found.left_out


def test_whole_schemas_are_chosen() -> None:
    assert set(chosen(schemas=("archive",)).roles) == {"archive.Old guests", "archive.guests"}
    with pytest.raises(RefusedError, match="archive, public"):
        chosen(schemas=("publik",))


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("guest", RefusedError, "Is it"),
        ("bookings_2026", RefusedError, r"partition, whose rows are stored with those of public\.bookings"),
        ("guests", ConfigError, r"archive\.guests, public\.guests"),
        ("archive.guests", RefusedError, r"inherits from archive\.Old guests"),
    ],
)
def test_a_name_that_means_no_one_table_is_refused(name: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        chosen(name)


def test_of_one_owner_tables_are_taken_by_column_and_along_foreign_keys() -> None:
    found = chosen(owner=Owner("public.weddings", "wedding_id", ("7",)))
    assert found.roles == {
        "public.weddings": Role.ROOT,
        "public.guests": Role.OWNED,
        "public.bookings": Role.OWNED,
        "archive.Old guests": Role.OWNED,
        "public.meals": Role.REFERRING,
        "public.courses": Role.REFERRING,
        "public.vendors": Role.REFERRED,
        "public.cities": Role.REFERRED,
    }
    # What refers to a vendor belongs to nobody's wedding.
    assert set(found.left_out) == {"public.reviews", "archive.guests"}
    assert (found.only("public.weddings").column, found.only("public.guests").column) == ("id", "wedding_id")
    assert found.only("public.meals") is None


def test_an_owner_needs_its_root() -> None:
    with pytest.raises(RefusedError, match="isn't among"):
        chosen("public.guests", owner=Owner("public.weddings", "wedding_id", ("7",)))
    with pytest.raises(RefusedError, match="wasn't there"):
        chosen(owner=Owner("public.parties", "party", ("7",)))
