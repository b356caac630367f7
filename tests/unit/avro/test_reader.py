from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from replicator.avro import arrow, values
from replicator.avro.program import UnreadableSchemaError
from replicator.avro.reader import Reader
from replicator.errors import IntegrityError
from tests.unit.avro.schemas import schemas

SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def encoded(schema: Any, records: list[Any]) -> bytes:
    out = BytesIO()
    parsed = fastavro.parse_schema(schema)
    for record in records:
        fastavro.schemaless_writer(out, parsed, record)
    return out.getvalue()


def read(schema: Any, data: bytes, blocks: list[tuple[int, int, int]], *wanted: tuple[str, ...]) -> Any:
    return Reader(json.dumps(schema), wanted).read(
        np.frombuffer(data, np.uint8).copy(), blocks, "the segment"
    )


def plain(value: Any) -> Any:
    """Arrow gives a map as pairs, and so do we."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def as_pairs(schema: Any, value: Any) -> Any:
    """What fastavro reads, with maps as lists of pairs."""
    if isinstance(schema, list):
        inner = next(each for each in schema if each != "null")
        return None if value is None else as_pairs(inner, value)
    if not isinstance(schema, dict):
        return value
    match schema["type"]:
        case "record":
            return {each["name"]: as_pairs(each["type"], value[each["name"]]) for each in schema["fields"]}
        case "array":
            return [as_pairs(schema["items"], each) for each in value]
        case "map":
            return [(name, as_pairs(schema["values"], each)) for name, each in value.items()]
        case _:
            return value


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, list[Any], int]:
    schema, values = draw(schemas())
    records = draw(st.lists(values, max_size=12))
    return schema, records, draw(st.integers(0, len(records)))


@given(cases())
@SLOW
def test_reads_what_fastavro_wrote(case: tuple[Any, list[Any], int]) -> None:
    schema, records, split = case
    first, second = encoded(schema, records[:split]), encoded(schema, records[split:])
    blocks = [(0, len(first), split), (len(first), len(first) + len(second), len(records) - split)]
    columns = read(schema, first + second, blocks, ())
    assert plain(arrow.array(columns, ()).to_pylist()) == [as_pairs(schema, each) for each in records]
    assert values.of(columns, ()) == [as_pairs(schema, each) for each in records]
    assert values.of(columns, (), np.arange(split)) == [as_pairs(schema, each) for each in records[:split]]


@given(cases(), st.randoms(use_true_random=False))
@SLOW
def test_takes_the_rows_that_are_asked_for(case: tuple[Any, list[Any], int], random: Any) -> None:
    schema, records, _ = case
    data = encoded(schema, records)
    rows = [i for i in range(len(records)) if random.random() < 0.5]
    columns = read(schema, data, [(0, len(data), len(records))], ())
    found = arrow.array(columns, (), np.array(rows, np.int64)).to_pylist()
    assert plain(found) == [as_pairs(schema, records[i]) for i in rows]


@given(cases(), st.binary(max_size=60), st.integers(0, 10**6))
@SLOW
def test_damaged_bytes_are_refused_or_read_and_never_leave_the_block(
    case: tuple[Any, list[Any], int], noise: bytes, at: int
) -> None:
    schema, records, _ = case
    data = bytearray(encoded(schema, records))
    place = at % (len(data) + 1)
    data[place : place + len(noise)] = noise
    try:
        columns = read(schema, bytes(data), [(0, len(data), len(records))], ())
    except IntegrityError:
        return
    # What wasn't refused is, byte for byte, records of the schema; a text in it may still be no UTF-8.
    assert columns.count == len(records)


@given(cases())
@SLOW
def test_a_block_that_is_cut_off_or_goes_on_is_refused(case: tuple[Any, list[Any], int]) -> None:
    schema, records, _ = case
    data = encoded(schema, records)
    with pytest.raises(IntegrityError):
        read(schema, data + b"\0", [(0, len(data) + 1, len(records))], ())
    if data:
        with pytest.raises(IntegrityError):
            read(schema, data, [(0, len(data) - 1, len(records))], ())


ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "any", "type": ["null", "string", "long", {"type": "array", "items": "bytes"}]},
        {
            "name": "before",
            "type": ["null", {"type": "record", "name": "Value", "fields": [{"name": "id", "type": "long"}]}],
        },
        {"name": "skipped", "type": {"type": "map", "values": {"type": "array", "items": "double"}}},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "op", "type": "string"},
    ],
}


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "any": st.one_of(st.none(), st.text(), st.integers(0, 9), st.lists(st.binary(max_size=3))),
                "before": st.one_of(st.none(), st.fixed_dictionaries({"id": st.integers(0, 99)})),
                "skipped": st.dictionaries(st.text(max_size=3), st.lists(st.floats(), max_size=2)),
                "after": st.one_of(st.none(), st.fixed_dictionaries({"id": st.integers(0, 99)})),
                "op": st.sampled_from("crud"),
            }
        ),
        max_size=8,
    )
)
@example([])
@SLOW
def test_steps_over_what_is_not_wanted(records: list[Any]) -> None:
    data = encoded(ENVELOPE, records)
    columns = read(ENVELOPE, data, [(0, len(data), len(records))], ("after",), ("op",), ("not there",))
    assert arrow.array(columns, ("after",)).to_pylist() == [each["after"] for each in records]
    assert arrow.array(columns, ("after", "id")).to_pylist() == [
        each["after"] and each["after"]["id"] for each in records
    ]
    assert arrow.array(columns, ("op",)).to_pylist() == [each["op"] for each in records]
    with pytest.raises(KeyError):
        columns.root.at(("not there",))


def test_a_list_may_have_many_more_items_than_there_are_records() -> None:
    schema = {"type": "array", "items": "long"}
    records = [list(range(5000)), [], list(range(3))]
    data = encoded(schema, records)
    columns = read(schema, data, [(0, len(data), 3)], ())
    assert arrow.array(columns, ()).to_pylist() == records


def test_the_number_of_records_that_a_block_claims_is_no_reason_to_take_memory() -> None:
    with pytest.raises(IntegrityError):
        read("long", b"\0\0", [(0, 2, 2**60)], ())


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "r", "fields": [{"name": "next", "type": ["null", "r"]}]},
        ["string", "long"],
        {"type": "array", "items": "null"},
        {"type": "nothing"},
    ],
)
def test_a_schema_without_columns_is_refused_by_name(schema: Any) -> None:
    with pytest.raises(UnreadableSchemaError):
        Reader(json.dumps(schema), [()])
