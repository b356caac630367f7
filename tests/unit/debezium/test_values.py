from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.csv as pv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.debezium import calendar, columns
from replicator.debezium.pgtypes import PgType
from replicator.debezium.values import PLACEHOLDER, ValueRefusedError, conversion, to_text

TEXT = PgType("text")


def array_of(name: str, kind: str = "b") -> PgType:
    return PgType(f"_{name}", "b", PgType(name, kind))


# Each case was seen on the running stack: what the Avro reader gave, and a text that PostgreSQL reads as the
# value.
SEEN: list[tuple[PgType, pa.DataType, Any, str]] = [
    (PgType("bool"), pa.bool_(), True, "true"),
    (PgType("int8"), pa.int64(), 2**60, "1152921504606846976"),
    (PgType("float8"), pa.float64(), float("-inf"), "-Infinity"),
    (PgType("numeric"), pa.string(), "1.500", "1.500"),
    (PgType("numeric"), pa.string(), "NAN", "NaN"),
    (PgType("numeric"), pa.string(), "NEGATIVE_INFINITY", "-Infinity"),
    (TEXT, pa.string(), "", ""),
    (PgType("date"), pa.int32(), 20779, "2026-11-22"),
    (PgType("date"), pa.int32(), 3672879, "12026-01-01"),
    (PgType("date"), pa.int32(), -735160, "0044-03-15 BC"),
    (PgType("date"), pa.int32(), -622191234, "infinity"),
    (PgType("date"), pa.int32(), 2146033979, "infinity"),
    (PgType("date"), pa.int32(), -2147472691, "-infinity"),
    (PgType("timestamp"), pa.int64(), 1795309323123456, "2026-11-22 01:02:03.123456"),
    (PgType("timestamp"), pa.int64(), 317336745600000000, "12026-01-01 00:00:00.000000"),
    (PgType("timestamp"), pa.int64(), -63517824000000000, "0044-03-15 00:00:00.000000 BC"),
    (PgType("timestamp"), pa.int64(), 2**63 - 1, "infinity"),
    (PgType("timestamp"), pa.int64(), -(2**63), "-infinity"),
    (PgType("time"), pa.int64(), 86_400_000_000, "24:00:00.000000"),
    (PgType("time"), pa.int64(), 45296789012, "12:34:56.789012"),
    (PgType("timestamptz"), pa.string(), "2026-11-21T23:02:03.123456Z", "2026-11-21T23:02:03.123456Z"),
    (PgType("timestamptz"), pa.string(), "+12026-01-01T00:00:00.000000Z", "12026-01-01T00:00:00.000000Z"),
    (PgType("timestamptz"), pa.string(), "-0043-03-15T00:00:00.000000Z", "0044-03-15T00:00:00.000000Z BC"),
    (PgType("timestamptz"), pa.string(), "0000-03-15T00:00:00Z", "0001-03-15T00:00:00Z BC"),
    (PgType("timestamptz"), pa.string(), "infinity", "infinity"),
    (PgType("bytea"), pa.binary(), b"\x00\xff", "\\x00ff"),
    (PgType("bytea"), pa.binary(), b"", "\\x"),
    (PgType("int4multirange", "m"), pa.binary(), b"{[1,3),[5,7)}", "{[1,3),[5,7)}"),
    (PgType("mood", "e"), pa.string(), "ok", "ok"),
    (PgType("bit", length=9), pa.binary(), b"U\x01", "101010101"),
    (PgType("bit", length=1), pa.bool_(), True, "1"),
    (array_of("int4"), pa.list_(pa.int32()), [], "{}"),
    (PgType("hstore"), pa.string(), '{"a":"1","b":null,"q\\"":"\\\\"}', '"a"=>"1","b"=>NULL,"q\\""=>"\\\\"'),
]


# The same, of fields that our own converter in Debezium wrote.
EXACT: list[tuple[PgType, pa.DataType, Any, str]] = [
    (PgType("date"), pa.int32(), -735160, "0044-03-15 BC"),
    (PgType("date"), pa.int32(), 2146033979, "infinity"),
    (PgType("timestamp"), pa.int64(), 1795309323123456, "2026-11-22 01:02:03.123456"),
    (PgType("timestamp"), pa.int64(), 2**63 - 1, "infinity"),
    (PgType("timestamp"), pa.int64(), -(2**63), "-infinity"),
    (PgType("timestamp"), pa.int64(), -210866803200000000, "4714-11-24 00:00:00.000000 BC"),
    (
        PgType("timestamp"),
        pa.int64(),
        9224318015999999999 - 2**64,
        "294276-12-31 23:59:59.999999",
    ),
    (PgType("varbit"), pa.string(), "0110", "0110"),
    (PgType("timetz"), pa.string(), "12:00:00+05:30", "12:00:00+05:30"),
    (PgType("path"), pa.string(), "[(1.0,2.0)]", "[(1.0,2.0)]"),
    (PgType("point"), pa.string(), "(NaN,-0.0)", "(NaN,-0.0)"),
    (PgType("oidvector"), pa.string(), "1 2", "1 2"),
    (array_of("int4"), pa.string(), "[2:3]={5,6}", "[2:3]={5,6}"),
    (array_of("time"), pa.string(), "{24:00:00,NULL}", "{24:00:00,NULL}"),
    (array_of("date"), pa.string(), "{infinity}", "{infinity}"),
    (array_of("mood", "e"), pa.string(), "{sad,NULL}", "{sad,NULL}"),
    (array_of("short", "d"), pa.string(), "{a}", "{a}"),
]


def printed(column: Any) -> list[str | None]:
    """Each value as the CSV that COPY gets holds it."""
    buffer = io.BytesIO()
    table = pa.table({"value": column, "end": pa.array(["."] * len(column))})
    pv.write_csv(table, buffer, pv.WriteOptions(include_header=False))
    found: list[str | None] = []
    for line in buffer.getvalue().decode().split(',"."\n')[:-1]:
        quoted = line.startswith('"')
        found.append(line[1:-1].replace('""', '"') if quoted else (line or None))
    return found


@pytest.mark.parametrize(("pg_type", "arrow", "value", "text"), SEEN)
def test_a_value_seen_on_the_stack_is_read_back(
    pg_type: PgType, arrow: pa.DataType, value: Any, text: str
) -> None:
    assert to_text(value, pg_type) == text


@pytest.mark.parametrize(("pg_type", "arrow", "value", "text"), SEEN)
def test_a_column_gives_what_its_values_give(
    pg_type: PgType, arrow: pa.DataType, value: Any, text: str
) -> None:
    column = columns.encode(pa.array([None, value, None], arrow), pg_type)
    [before, found, after] = printed(column)
    assert (before, after) == (None, None)
    if pg_type.name == "float8":
        assert found is not None
        assert float(found) == value
    else:
        assert found == text


@pytest.mark.parametrize(("pg_type", "arrow", "value", "text"), EXACT)
def test_a_field_of_our_own_converter_is_read_back_alone_and_in_bulk(
    pg_type: PgType, arrow: pa.DataType, value: Any, text: str
) -> None:
    assert to_text(value, pg_type, exact=True) == text
    assert conversion(pg_type, exact=True).caveat is None
    assert printed(columns.encode(pa.array([None, value], arrow), pg_type, exact=True)) == [None, text]


def test_a_placeholder_of_our_own_converter_never_becomes_a_value() -> None:
    with pytest.raises(ValueRefusedError, match="TOAST"):
        to_text(PLACEHOLDER, array_of("int4"), exact=True)
    with pytest.raises(ValueRefusedError, match="TOAST"):
        columns.encode(pa.array([PLACEHOLDER]), array_of("int4"), exact=True)


def test_a_timestamp_that_our_own_converter_cannot_have_made_is_refused() -> None:
    with pytest.raises(ValueRefusedError, match="outside"):
        to_text(9224318016000000000 - 2**64, PgType("timestamp"), exact=True)


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_text_arrays_are_quoted_alike_one_by_one_and_in_bulk(items: list[str | None]) -> None:
    column = columns.encode(pa.array([items, None], pa.list_(pa.string())), array_of("text"))
    assert column.to_pylist() == [to_text(items, array_of("text")), None]


@given(st.lists(st.none() | st.binary(max_size=40)), st.integers(0, 3))
def test_bytea_is_the_same_in_bulk_also_in_a_sliced_column(items: list[bytes | None], start: int) -> None:
    column = columns.encode(pa.array(items, pa.binary()).slice(start), PgType("bytea"))
    assert column.to_pylist() == [to_text(item, PgType("bytea")) for item in items[start:]]


@given(st.lists(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)) | st.none()), st.integers(0, 3))
def test_int_arrays_are_the_same_in_bulk_also_in_a_sliced_column(
    items: list[list[int | None] | None], start: int
) -> None:
    column = columns.encode(pa.array(items, pa.list_(pa.int32())).slice(start), array_of("int4"))
    expected = [
        None if item is None else "{" + ",".join("NULL" if i is None else str(i) for i in item) + "}"
        for item in items[start:]
    ]
    assert column.to_pylist() == expected


@given(st.dates())
def test_the_calendar_agrees_with_python_where_python_has_one(day: Any) -> None:
    assert calendar.date_text(day.toordinal() - 719_163) == day.isoformat()


@pytest.mark.parametrize("name", ["varbit", "timetz", "oidvector", "path"])
def test_a_type_that_loses_something_always_is_refused(name: str) -> None:
    with pytest.raises(ValueRefusedError):
        columns.encode(pa.array(["x"]), PgType(name))
    with pytest.raises(ValueRefusedError):
        to_text("x", PgType(name))


@pytest.mark.parametrize("pg_type", [array_of("point"), array_of("interval"), array_of("time")])
def test_an_array_type_that_does_not_arrive_is_refused(pg_type: PgType) -> None:
    assert conversion(pg_type).refusal is not None


def test_a_vector_is_no_array() -> None:
    assert conversion(PgType("oidvector", "b", PgType("oid", oid=26))).refusal is not None


def test_what_an_array_may_lose_is_named() -> None:
    assert "NaN" in str(conversion(array_of("numeric")).caveat)
    assert "enum" in str(conversion(array_of("mood", "e")).caveat)


@pytest.mark.parametrize(
    ("pg_type", "value", "arrow"),
    [
        (TEXT, PLACEHOLDER, pa.string()),
        (PgType("jsonb"), PLACEHOLDER, pa.string()),
        (PgType("bytea"), PLACEHOLDER.encode(), pa.binary()),
        (PgType("numeric"), PLACEHOLDER, pa.string()),
    ],
)
def test_a_placeholder_never_becomes_a_value(pg_type: PgType, value: Any, arrow: pa.DataType) -> None:
    with pytest.raises(ValueRefusedError, match="TOAST"):
        to_text(value, pg_type)
    with pytest.raises(ValueRefusedError, match="TOAST"):
        columns.encode(pa.array([value, None], arrow), pg_type)


def test_an_overflown_timestamp_is_refused() -> None:
    with pytest.raises(ValueRefusedError, match="overflow"):
        to_text(-9223372036853775810, PgType("timestamp"))
