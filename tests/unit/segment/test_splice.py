from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from replicator.segment import container, read, wire
from replicator.segment.name import Chain
from replicator.segment.splice import Columns, Run, splice
from tests.unit.segment.records import KEY_SCHEMA, VALUE_SCHEMA, columns, encode, key, prefix, value

CHAIN = Chain("shop.public.guests", "A" * 22, 0)


def decoded(runs: Sequence[Run], schema: str | None = VALUE_SCHEMA) -> list[dict[str, object]]:
    """What a stranger's reader (fastavro) makes of the runs, put into one segment."""
    name = next((run.value_schema for run in runs if run.value_schema), None)
    header = container.Header(
        cluster_id="c",
        chain=CHAIN,
        first=runs[0].first_offset,
        next=runs[-1].last_offset + 1,
        count=sum(run.count for run in runs),
        value_schema=(name, schema) if name and schema else None,
    )
    blocks = [(run.count, container.compress(run.encoded)) for run in runs]
    built = container.build(header, blocks)
    assert read.check(built.name, built.body) == header
    return list(read.records(built.body))


@pytest.mark.parametrize("first", [0, 63, 64, 8190, 8192, 10_000, 2**31 - 5, 2**40 + 8189, 2**62])
def test_records_come_back_as_they_were_wherever_their_offsets_lie(first: int) -> None:
    given_ = columns(range(first, first + 10))
    runs, poison = splice(given_)
    assert poison is None
    for position, record in enumerate(decoded(runs)):
        assert record["offset"] == first + position
        assert record["key"] == given_.keys[position]
        assert record["headers"] == []
        assert record["value"] == {"id": first + position, "name": "Ada"}


def test_a_change_of_the_value_schema_begins_a_new_run() -> None:
    values = [value(1), value(2), value(3, schema_id=8), value(4, schema_id=8), value(5)]
    runs, poison = splice(columns(range(20_000, 20_005), values=list(values)))
    assert poison is None
    assert [(run.value_schema, run.count, run.first_offset) for run in runs] == [
        ("7", 2, 20_000),
        ("8", 2, 20_002),
        ("7", 1, 20_004),
    ]


def test_null_values_join_the_run_around_them() -> None:
    runs, _ = splice(columns(range(4), values=[None, value(1), None, value(3)]))
    [run] = runs
    assert run.value_schema == "7"
    assert [record["value"] for record in decoded(runs)] == [
        None,
        {"id": 1, "name": "Ada"},
        None,
        {"id": 3, "name": "Ada"},
    ]


def test_records_without_any_value_need_no_schema() -> None:
    runs, _ = splice(columns(range(3), values=[None, None, None]))
    assert runs[0].value_schema is None
    assert [record["value"] for record in decoded(runs)] == [None, None, None]


def test_headers_are_kept_with_null_values_and_repeated_names() -> None:
    headers: list[tuple[str, bytes | None]] = [("__debezium.newkey", b"{}"), ("n", None), ("n", b"")]
    runs, _ = splice(columns(range(2), headers=[headers, None]))
    first, second = decoded(runs)
    assert first["headers"] == [
        {"key": "__debezium.newkey", "value": b"{}"},
        {"key": "n", "value": None},
        {"key": "n", "value": b""},
    ]
    assert second["headers"] == []


def test_a_schema_named_by_its_guid_is_known_by_it() -> None:
    guid = uuid.uuid4()
    body = encode(VALUE_SCHEMA, {"id": 1, "name": None})
    runs, poison = splice(columns([9000], values=[b"\x01" + guid.bytes + body]))
    assert poison is None
    assert runs[0].value_schema == f"guid:{guid}"
    assert decoded(runs)[0]["value"] == {"id": 1, "name": None}


def test_a_schema_named_in_a_header_leaves_the_payload_whole() -> None:
    guid = uuid.uuid4()
    body = encode(VALUE_SCHEMA, {"id": 1, "name": "x"})
    headers: list[tuple[str, bytes | None]] = [(wire.VALUE_HEADER, b"\x01" + guid.bytes)]
    runs, poison = splice(columns([1], values=[body], headers=[headers]))
    assert poison is None
    assert runs[0].value_schema == f"guid:{guid}"
    assert decoded(runs)[0]["value"] == {"id": 1, "name": "x"}


@pytest.mark.parametrize(
    ("payload", "why"),
    [(b"", "empty"), (b"\x00\x00\x01", "fewer"), (b'{"id": 1}', "0x7b"), (b"\x01short", "fewer")],
)
@pytest.mark.parametrize("what", ["key", "value"])
def test_a_record_that_is_not_in_wire_format_ends_the_run_and_is_named(
    payload: bytes, why: str, what: str
) -> None:
    given_ = columns(range(9000, 9004))
    changed = list(getattr(given_, what + "s"))
    changed[2] = payload
    spoilt = Columns(
        given_.offsets,
        given_.timestamps,
        changed if what == "key" else given_.keys,
        changed if what == "value" else given_.values,
        given_.headers,
    )
    runs, poison = splice(spoilt)
    assert [run.last_offset for run in runs] == [9001]
    assert poison is not None
    assert poison.offset == 9002
    assert what in poison.reason
    assert why in poison.reason


def test_keys_of_any_length_are_kept() -> None:
    keys: list[bytes | None] = [prefix(3) + b"k" * length for length in (0, 1, 59, 4090, 4091, 5000, 70_000)]
    runs, _ = splice(columns(range(9000, 9007), keys=keys))
    assert [record["key"] for record in decoded(runs)] == keys


def test_a_value_schema_that_is_a_union_is_carried() -> None:
    union = '["null",{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}]'
    values: list[bytes | None] = [
        prefix(7) + encode(union, {"a": "x"}),
        prefix(7) + encode(union, None),
        None,
    ]
    runs, _ = splice(columns(range(9000, 9003), values=values))
    assert [record["value"] for record in decoded(runs, union)] == [
        {"value": {"a": "x"}},
        {"value": None},
        None,
    ]


def test_every_key_schema_comes_with_the_first_offset_that_uses_it() -> None:
    keys: list[bytes | None] = [key(1), key(2, schema_id=4), key(3), None]
    runs, _ = splice(columns(range(4), keys=keys))
    assert runs[0].key_schemas == (("3", 0), ("4", 1))
    assert KEY_SCHEMA


def test_records_before_an_offset_and_from_it_on() -> None:
    given_ = columns([5, 9, 12])
    before, after = given_.split(9)
    assert list(before.offsets) == [5]
    assert list(after.offsets) == [9, 12]
    assert list(after.values) == list(given_.values)[1:]
    before, after = given_.split(13)
    assert list(before.offsets) == [5, 9, 12]
    assert splice(after) == ([], None)
