from __future__ import annotations

from replicator.source.difference import MASK, Change, difference, masked


def test_what_changes_comes_and_goes_is_told_by_name() -> None:
    running = {"name": "weddings", "a": "1", "b": "2", "gone": "x"}
    wanted = {"a": "1", "b": "3", "new": "y"}
    assert difference(running, wanted) == [
        Change("b", "2", "3"),
        Change("gone", "x", None),
        Change("new", None, "y"),
    ]


def test_the_name_that_connect_adds_is_no_difference() -> None:
    assert difference({"name": "w", "a": "1"}, {"a": "1"}) == []


def test_a_changed_password_is_seen_and_not_shown() -> None:
    (change,) = difference({"database.password": "old"}, {"database.password": "new"})
    assert (change.old, change.new) == (MASK, MASK)


def test_every_kind_of_secret_is_masked() -> None:
    for setting in (
        "database.password",
        "producer.override.sasl.jaas.config",
        "value.converter.basic.auth.user.info",
        "value.converter.apicurio.auth.client.secret",
    ):
        assert masked(setting, "hush") == MASK


def test_a_reference_for_a_config_provider_is_no_secret() -> None:
    assert (
        masked("database.password", "${file:/run/secrets/db:password}") == "${file:/run/secrets/db:password}"
    )


def test_a_password_inside_of_an_address_is_masked() -> None:
    assert masked("value.converter.schema.registry.url", "https://me:hush@registry:8081") == (
        f"https://me:{MASK}@registry:8081"
    )
