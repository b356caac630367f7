from __future__ import annotations

import io
import json
import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from replicator.avro.reader import Reader
from replicator.debezium.binary import Constant, NotPlainError, RowWriter
from replicator.debezium.pgtypes import PgType
from replicator.debezium.values import PLACEHOLDER

EPOCH = datetime(1970, 1, 1)


def rows(
    pg_type: PgType, avro: Any, values: list[Any], constant: Constant | None = None
) -> list[bytes | None]:
    """What COPY would read of one column: the bytes of each value, None for NULL."""
    schema = {"type": "record", "name": "row", "fields": [{"name": "v", "type": ["null", avro]}]}
    out = io.BytesIO()
    parsed = fastavro.parse_schema(schema)
    for value in values:
        fastavro.schemaless_writer(out, parsed, {"v": value})
    data = np.frombuffer(out.getvalue(), np.uint8).copy()
    columns = Reader(json.dumps(schema), [()]).read(data, [(0, len(data), len(values))], "a test")
    writer = RowWriter([(pg_type, constant or columns.root.at(("v",)))])
    return fields(b"".join(writer.write(columns, np.arange(len(values)))))


def fields(rows: bytes) -> list[bytes | None]:
    found: list[bytes | None] = []
    at = 0
    while at < len(rows):
        count, size = struct.unpack_from("!hi", rows, at)
        assert count == 1
        found.append(None if size < 0 else rows[at + 6 : at + 6 + size])
        at += 6 + max(size, 0)
    return found


def loaded(pg_type: str, values: list[bytes | None]) -> list[Any]:
    """The values as psycopg reads PostgreSQL's binary form."""
    info = psycopg.adapters.types[pg_type]
    loader = Transformer().get_loader(info.oid, Format.BINARY)
    return [None if value is None else loader.load(value) for value in values]


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(st.none(), values), max_size=20)


@given(
    optional(
        st.one_of(
            st.decimals(
                allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12
            ),
            st.integers(-(10**30), 10**30).map(Decimal),
            st.integers(0, 400).map(lambda places: Decimal("0." + "0" * places + "7")),
            st.sampled_from([Decimal("0.00"), Decimal("10000"), Decimal("-0.0001"), Decimal("100000000.50")]),
        )
    )
)
@settings(deadline=None)
def test_numerics_keep_their_digits_and_their_scale(values: list[Decimal | None]) -> None:
    texts = [None if value is None else format(value, "f") for value in values]
    found = loaded("numeric", rows(PgType("numeric"), "string", texts))
    assert [None if value is None else format(value, "f") for value in found] == [
        None if text is None else text.removeprefix("-") if not Decimal(text) else text for text in texts
    ]


@given(optional(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))), st.booleans())
@settings(deadline=None)
def test_moments_are_the_same_moments(values: list[datetime | None], short: bool) -> None:
    digits = "auto" if short else "microseconds"
    texts = [None if value is None else value.isoformat(timespec=digits) + "Z" for value in values]
    found = rows(PgType("timestamptz"), "string", texts)
    micros = [None if each is None else struct.unpack("!q", each)[0] for each in found]
    assert micros == [
        None if value is None else (value - datetime(2000, 1, 1)) // timedelta(microseconds=1)
        for value in values
    ]


@given(optional(st.datetimes()), optional(st.dates()), optional(st.times()))
@settings(deadline=None)
def test_days_times_and_timestamps_are_the_same(
    stamps: list[datetime | None], days: list[date | None], times: list[time | None]
) -> None:
    micros = [None if each is None else (each - EPOCH) // timedelta(microseconds=1) for each in stamps]
    assert loaded("timestamp", rows(PgType("timestamp"), "long", micros)) == stamps
    numbers = [None if each is None else (each - EPOCH.date()).days for each in days]
    assert loaded("date", rows(PgType("date"), "int", numbers)) == days
    since = [
        None if t is None else ((t.hour * 60 + t.minute) * 60 + t.second) * 10**6 + t.microsecond
        for t in times
    ]
    assert loaded("time", rows(PgType("time"), "long", since)) == times


@given(optional(st.uuids()), optional(st.binary(max_size=30)), optional(st.text(max_size=30)))
@settings(deadline=None)
def test_uuids_bytes_and_texts_are_the_same(
    uuids: list[UUID | None], binaries: list[bytes | None], texts: list[str | None]
) -> None:
    uuid_texts = [None if each is None else str(each) for each in uuids]
    assert loaded("uuid", rows(PgType("uuid"), "string", uuid_texts)) == uuids
    assert rows(PgType("bytea"), "bytes", binaries) == binaries
    encoded = [None if each is None else each.encode() for each in texts]
    assert rows(PgType("text"), "string", texts) == encoded
    assert rows(PgType("mood", "e"), "string", texts) == encoded
    assert rows(PgType("jsonb"), "string", texts) == [
        None if each is None else b"\1" + each for each in encoded
    ]


@pytest.mark.parametrize(
    ("name", "avro", "low", "high", "form"),
    [
        ("int2", "int", -(2**15), 2**15 - 1, "!h"),
        ("int4", "int", -(2**31), 2**31 - 1, "!i"),
        ("int8", "long", -(2**63), 2**63 - 1, "!q"),
        ("oid", "long", 0, 2**32 - 1, "!I"),
    ],
)
def test_integers_reach_their_ends_and_not_beyond(
    name: str, avro: str, low: int, high: int, form: str
) -> None:
    values = [low, -1 if low else 1, 0, None, high]
    assert rows(PgType(name), avro, values) == [None if v is None else struct.pack(form, v) for v in values]
    if high < 2**31:
        for beyond in (low - 1, high + 1):
            with pytest.raises(NotPlainError):
                rows(PgType(name), "long", [beyond])


def test_floats_are_kept_to_the_bit() -> None:
    for value in (0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 2.0**-149):
        assert rows(PgType("float4"), "float", [value]) == [struct.pack("!f", value)]
        assert rows(PgType("float8"), "double", [value]) == [struct.pack("!d", value)]
    assert rows(PgType("bool"), "boolean", [True, False, None]) == [b"\1", b"\0", None]


@given(optional(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=5)))
@settings(deadline=None)
def test_arrays_are_the_same_with_their_nulls(values: list[Any]) -> None:
    kind = PgType("_text", "b", PgType("text", oid=25))
    avro = {"type": "array", "items": ["null", "string"]}
    assert loaded_arrays(rows(kind, avro, values)) == values


def literal(items: list[str | None] | None) -> str | None:
    """As PostgreSQL prints an array."""
    if items is None:
        return None
    plain = set("0123456789abcdefghijklmnopqrstuvwxyz-.")
    printed = [
        "NULL"
        if item is None
        else item
        if item and set(item) <= plain and item != "null"
        else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for item in items
    ]
    return "{" + ",".join(printed) + "}"


@given(optional(st.lists(st.one_of(st.none(), st.text('ab"\\{},ä💐 NUL', max_size=8)), max_size=5)))
def test_the_text_of_an_array_gives_the_same_array(values: list[Any]) -> None:
    kind = PgType("_text", "b", PgType("text", oid=25))
    assert loaded_arrays(rows(kind, "string", [literal(value) for value in values])) == values


@pytest.mark.parametrize(
    ("name", "avro", "items"),
    [
        ("int2", "int", [-(2**15), 2**15 - 1, None, 0]),
        ("int4", "int", [-(2**31), None, 2**31 - 1]),
        ("int8", "long", [-(2**63), 2**63 - 1, -1, None]),
        ("oid", "long", [0, 2**32 - 1]),
        ("bool", "boolean", [True, None, False]),
        ("uuid", "string", ["0d2ed3ea-66de-be6e-ebd6-f12a2d594da0", None]),
        ("numeric", "string", ["1.50", "-0.001", None, "123456789012345678901234567890"]),
    ],
)
def test_the_text_of_an_array_is_the_same_as_its_items(name: str, avro: str, items: list[Any]) -> None:
    kind = PgType("_x", "b", PgType(name, oid=7))
    texts = [
        None if item is None else {True: "t", False: "f"}[item] if name == "bool" else str(item)
        for item in items
    ]
    arrays = {"type": "array", "items": ["null", avro]}
    expected = rows(kind, arrays, [items, [], None, items[:1]])
    assert rows(kind, "string", [literal(texts), "{}", None, literal(texts[:1])]) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[
            ("text", each)
            for each in ("[2:3]={a,b}", "{{a,b}}", "{", "", "{a,}", '{"a', '{"a"b}', PLACEHOLDER)
        ],
        *[("int4", each) for each in ("{2147483648}", "{x}", "{-}", '{"1"}')],
        *[("int8", each) for each in ("{9223372036854775808}", "{-9223372036854775809}")],
        *[("oid", each) for each in ("{-1}", "{4294967296}")],
        ("numeric", "{NaN}"),
        ("bool", "{x}"),
        ("float8", "{1}"),
        ("date", "{2026-01-01}"),
    ],
)
def test_the_text_of_an_array_that_is_out_of_the_ordinary_is_left_to_text(name: str, text: str) -> None:
    with pytest.raises(NotPlainError):
        rows(PgType("_x", "b", PgType(name, oid=7)), "string", [text])


def loaded_arrays(values: list[bytes | None]) -> list[Any]:
    loader = Transformer().get_loader(psycopg.adapters.types["text"].array_oid, Format.BINARY)
    return [None if value is None else loader.load(value) for value in values]


@pytest.mark.parametrize(
    ("name", "avro", "value"),
    [
        ("timestamptz", "string", "infinity"),
        ("timestamptz", "string", "+12026-01-01T00:00:00Z"),
        ("timestamptz", "string", "-0044-03-15T00:00:00Z"),
        ("timestamptz", "string", "2026-02-29T00:00:00Z"),
        ("timestamptz", "string", "2026-01-01T24:00:00Z"),
        ("timestamptz", "string", "2026-01-01T00:00:00+01:00"),
        ("timestamp", "long", 2**63 - 1),
        ("timestamp", "long", -(2**63)),
        ("date", "int", 2_146_033_979),
        ("time", "long", 86_400_000_001),
        ("numeric", "string", "NAN"),
        ("numeric", "string", "1E-7"),
        ("numeric", "string", ""),
        ("numeric", "string", "1.2.3"),
        ("uuid", "string", "0d2ed3ea-66de-be6e-ebd6-f12a2d594dax"),
        ("text", "string", PLACEHOLDER),
        ("jsonb", "string", PLACEHOLDER),
        ("bytea", "bytes", PLACEHOLDER.encode()),
        ("int4", "string", "1"),
        ("interval", "string", "P1D"),
        ("tsrange", "string", "[,)"),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_text(name: str, avro: str, value: Any) -> None:
    with pytest.raises(NotPlainError):
        rows(PgType(name), avro, [value])


def test_a_row_that_is_larger_than_a_piece_is_written_whole() -> None:
    large = "x" * 3_000_000
    assert rows(PgType("text"), "string", ["a", large, "b"]) == [b"a", large.encode(), b"b"]


def test_constants_stand_in_every_row() -> None:
    assert rows(PgType("int4"), "int", [1, 2], Constant(b"\0\0\0\7")) == [b"\0\0\0\7"] * 2
    assert rows(PgType("int4"), "int", [1], Constant(None)) == [None]
