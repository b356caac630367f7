from __future__ import annotations

import re

import pytest

from replicator.errors import ConfigError
from replicator.source.captured import Captured, Table, TableName, is_excluded
from replicator.source.connector import escape, keep_snapshot, pattern, render, settings, slot_name, unkeyable
from tests.unit.source.configs import config


def table(name: str, columns: str, key: str = "", **more: bool | str) -> Table:
    schema, _, plain = name.partition(".")
    return Table(
        TableName(schema, plain),
        str(more.pop("kind", "r")),
        tuple(columns.split()),
        tuple(key.split()),
        **more,  # type: ignore[arg-type]
    )


def test_every_shipped_setting_has_a_value_and_a_reason_and_is_given_once() -> None:
    names = [entry.setting for entry in settings()]
    assert len(names) == len(set(names))
    assert all(entry.value and entry.why for entry in settings())


def test_what_exactness_rests_on_is_rendered() -> None:
    rendered = render(config(), Captured())
    expected = {
        "database.hostname": "db.example",
        "database.port": "5433",
        "database.user": "planner",
        "database.password": "s3cret",
        "database.dbname": "weddings",
        "slot.name": "replicator_weddings",
        "publication.name": "replicator_weddings",
        "publication.autocreate.mode": "disabled",
        "exactly.once.support": "required",
        "provide.transaction.metadata": "true",
        "skipped.operations": "none",
        "tombstones.on.delete": "false",
        "decimal.handling.mode": "string",
        "interval.handling.mode": "string",
        "time.precision.mode": "microseconds",
        "include.unknown.datatypes": "true",
        "heartbeat.action.query": "SELECT replicator.beat()",
        "topic.prefix": "weddings",
        "notification.sink.topic.name": "weddings.notification",
        "topic.creation.single.partitions": "1",
        "topic.creation.default.cleanup.policy": "delete",
    }
    assert expected.items() <= rendered.items()


def test_exact_values_bring_our_converter_and_no_failed_conversion_becomes_a_null() -> None:
    plain, exact = render(config(), Captured()), render(config(exact_values=True), Captured())
    assert exact.items() - plain.items() == {
        ("converters", "exact"),
        ("exact.type", "replicator.connect.ExactValueConverter"),
        ("event.converting.failure.handling.mode", "fail"),
        ("notification.enabled.channels", "replicator"),
    }


def test_nothing_is_left_unfilled_and_nothing_is_empty() -> None:
    rendered = render(config(), Captured())
    assert not [key for key, value in rendered.items() if value == "" or "$" in value]


def test_one_partition_is_for_transactions_notifications_heartbeats_and_our_tables() -> None:
    patterns = render(config(), Captured())["topic.creation.single.include"].split(",")

    def single(topic: str) -> bool:
        return any(re.fullmatch(pattern, topic) for pattern in patterns)

    assert single("weddings.transaction")
    assert single("weddings.notification")
    assert single("weddings.replicator.ddl_log")
    assert single("__debezium-heartbeat.weddings")
    assert not single("weddings.public.guests")
    assert not single("weddings.public.transaction")


def test_the_leading_column_stands_before_the_primary_key() -> None:
    found = Captured(
        (
            table("public.guests", "id wedding_id name", "id"),
            table("public.seats", "wedding_id seat", "wedding_id seat"),
            table("public.notes", "wedding_id text"),
            table("public.vendors", "id name", "id"),
        )
    )
    assert render(config(), found)["message.key.columns"] == (
        r"public\.guests:wedding_id,id;public\.notes:wedding_id"
    )


def test_a_partition_is_read_through_its_root_alone() -> None:
    found = Captured(
        (
            table("public.photos", "id", kind="p", has_children=True),
            table("public.photos_2026", "id", is_partition=True),
        )
    )
    rendered = render(config(), found)
    read = re.compile(rendered["snapshot.include.collection.list"])
    assert not read.fullmatch("public.photos_2026")
    assert not read.fullmatch('"public"."photos_2026"')
    assert not read.fullmatch("weddings.public.photos_2026")
    assert read.fullmatch('"public"."photos"')
    assert read.fullmatch("public.photos")
    assert read.fullmatch("weddings.public.photos")
    assert read.fullmatch("public.photos_2026_detached")
    assert read.fullmatch("public.made_later")
    assert "photos" not in rendered["table.exclude.list"]
    assert rendered["snapshot.select.statement.overrides"] == "replicator.ddl_log"


def test_what_was_only_for_the_snapshot_is_no_reason_to_change_a_running_connector() -> None:
    before = render(config(), Captured((table("public.people", "id", has_children=True),)))
    after = render(config(), Captured((table("public.photos_7", "id", is_partition=True),)))
    kept = keep_snapshot(before, after)
    assert kept == before
    assert keep_snapshot(render(config(), Captured()), after) == render(config(), Captured())


def test_a_parent_of_inherited_tables_is_read_with_only() -> None:
    found = Captured((table("public.people", "id", has_children=True), table("public.staff", "id")))
    rendered = render(config(), found)
    assert rendered["snapshot.select.statement.overrides"] == "replicator.ddl_log,public.people"
    assert rendered["snapshot.select.statement.overrides.public.people"] == (
        'SELECT * FROM ONLY "public"."people"'
    )


def test_our_own_state_is_left_out_and_the_logs_are_not() -> None:
    excluded = render(config(), Captured())["table.exclude.list"].split(",")
    assert r"replicator\.sequence_seen" in excluded
    assert r"replicator\.ddl_log" not in excluded


def test_a_name_with_a_separator_in_it_becomes_one_pattern_for_itself_alone() -> None:
    name = TableName("public", 'Odd, "name";x')
    java = pattern(name)
    assert not set(java) & set(",;: \t")
    python = re.sub(r"\\x\{([0-9a-f]+)\}", lambda hit: re.escape(chr(int(hit.group(1), 16))), java)
    assert re.fullmatch(python, str(name))
    assert escape("Жa") == r"\x{416}a"


def test_a_key_that_debezium_cannot_express_is_told_and_left_to_the_primary_key() -> None:
    odd = table("public.odd", "wedding_id id", "id")
    odd = Table(odd.name, "r", ("wedding_id", "a b"), ("a b",))
    found = Captured((odd,))
    assert "message.key.columns" not in render(config(), found)
    assert unkeyable(config(), found) == [odd]


def test_an_override_replaces_adds_and_removes() -> None:
    overrides = {"poll.interval.ms": "100", "slot.failover": "true", "hstore.handling.mode": ""}
    rendered = render(config(overrides=overrides), Captured())
    assert rendered["poll.interval.ms"] == "100"
    assert rendered["slot.failover"] == "true"
    assert "hstore.handling.mode" not in rendered


def test_the_connector_goes_to_the_database_by_its_own_dsn() -> None:
    rendered = render(
        config(connector_dsn="host=inside user=cdc dbname=weddings sslmode=verify-full"), Captured()
    )
    assert rendered["database.hostname"] == "inside"
    assert rendered["database.user"] == "cdc"
    assert rendered["database.sslmode"] == "verify-full"
    assert "database.password" not in rendered


def test_the_shipped_converter_keeps_null_and_writes_content_ids_on_both_sides() -> None:
    rendered = render(config(), Captured())
    for side in ("key", "value"):
        assert rendered[f"{side}.converter"] == "replicator.connect.NullKeepingAvroConverter"
        assert rendered[f"{side}.converter.apicurio.registry.use-id"] == "contentId"
        assert rendered[f"{side}.converter.apicurio.registry.url"] == "http://127.0.0.1:8080/apis/registry/v2"


def test_confluents_converter_is_told_to_keep_null() -> None:
    rendered = render(
        config(converter={"kind": "confluent", "settings": {"max.schemas.per.subject": "9"}}), Captured()
    )
    for side in ("key", "value"):
        assert rendered[f"{side}.converter"] == "io.confluent.connect.avro.AvroConverter"
        assert rendered[f"{side}.converter.ignore.default.for.nullables"] == "true"
        assert rendered[f"{side}.converter.max.schemas.per.subject"] == "9"


def test_a_slot_name_that_postgresql_would_cut_short_is_refused() -> None:
    assert slot_name(config("the-day")) == "replicator_the_day"
    with pytest.raises(ConfigError, match="too long"):
        slot_name(config("w" * 60))


def test_an_excluded_table_is_matched_as_a_whole() -> None:
    assert is_excluded(TableName("public", "sessions"), ["public.sessions"])
    assert is_excluded(TableName("public", "tmp_1"), [r"public\.tmp_.*"])
    assert not is_excluded(TableName("public", "sessions_kept"), ["public.sessions"])
