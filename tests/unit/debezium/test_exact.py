from __future__ import annotations

import json

from replicator.debezium import names
from replicator.debezium.exact import row_fields

EXACT = {
    "type": "string",
    "connect.parameters": {"replicator.exact": "text", "__debezium.source.column.type": "_INT4"},
}
OTHER = {"type": "string", "connect.parameters": {"__debezium.source.column.type": "TEXT"}}


def value_schema(**fields: object) -> str:
    row = {"type": "record", "name": "Value", "fields": [{"name": n, "type": t} for n, t in fields.items()]}
    before = {"name": "before", "type": ["null", row]}
    return json.dumps(
        {"type": "record", "name": "Envelope", "fields": [before, {"name": "op", "type": "string"}]}
    )


def test_fields_with_the_converters_mark_are_told_from_others() -> None:
    schema = value_schema(id="int", plain=OTHER, tags=EXACT, maybe=["null", EXACT], other=["null", OTHER])
    assert row_fields(schema) == (("id", "plain", "tags", "maybe", "other"), frozenset(("tags", "maybe")))


def test_a_schema_that_is_no_change_event_has_no_row() -> None:
    assert row_fields('"string"') == ((), frozenset())
    assert row_fields('{"type": "record", "name": "Key", "fields": []}') == ((), frozenset())


def test_characters_beyond_the_first_plane_are_two_underscores_as_in_java() -> None:
    assert names.field("a💐b") == "a__b"
    assert names.topic("w", "public", "größe 💐") == "w.public.gr__e___"
