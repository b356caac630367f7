"""The registry's schema inside ours: what can be carried is read back, what can't is refused beforehand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO

import fastavro
import pytest

from replicator.segment import schema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIELDS = [{"name": "a", "type": "long"}]


@pytest.mark.parametrize("name", ["Header", "ChangeRecord", "Union", "Value"])
def test_a_type_without_a_namespace_may_have_any_name(name: str) -> None:
    value = json.dumps({"type": "record", "name": name, "fields": FIELDS})
    assert schema.refusal(value) is None
    parsed = fastavro.parse_schema(json.loads(schema.record_schema(value)))
    datum = {"offset": 1, "timestamp": EPOCH, "key": None, "headers": [], "value": {"a": 3}}
    encoded = BytesIO()
    fastavro.schemaless_writer(encoded, parsed, datum)
    encoded.seek(0)
    assert fastavro.schemaless_reader(encoded, parsed, None) == datum


def test_a_namespace_of_its_own_is_left_alone() -> None:
    for names in ({"name": "V", "namespace": "shop"}, {"name": "shop.V"}):
        value = {"type": "record", **names, "fields": FIELDS}
        kept = schema.value_schema_of(json.loads(schema.record_schema(json.dumps(value))))
        assert kept == value


@pytest.mark.parametrize(
    "value",
    [
        {"type": "record", "name": "Header", "namespace": "replicator.segment", "fields": FIELDS},
        {"type": "record", "name": "V", "fields": [{"name": "a", "type": "unknown"}]},
        {"type": ["null", "string"]},
        {"type": "record", "name": 7, "fields": []},
        {},
        17,
    ],
)
def test_what_no_reader_could_parse_is_refused(value: object) -> None:
    assert schema.refusal(json.dumps(value)) is not None


@pytest.mark.parametrize(
    "value", ["string", "null", {"type": "null"}, ["null", "string"], {"type": "array", "items": "int"}]
)
def test_what_is_no_record_can_be_carried(value: object) -> None:
    assert schema.refusal(json.dumps(value)) is None
