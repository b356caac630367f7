from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from replicator.restore.export import avro_rows
from replicator.restore.rows.arrow_rows import typed

UTC_MICROS = pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("texts", "wanted", "values"),
    [
        (["1.50", None, "-0.01"], pa.decimal128(12, 2), [Decimal("1.50"), None, Decimal("-0.01")]),
        (["\\x00ff", "\\x", None], pa.binary(), [b"\x00\xff", b"", None]),
        (["2026-11-22T17:30:00.000001Z"], UTC_MICROS, [datetime(2026, 11, 22, 17, 30, 0, 1, UTC)]),
        ([None, None], pa.time64("us"), [None, None]),
        ([None], pa.date32(), [None]),
        (["2026-11-22 17:30:00.000001+00"], UTC_MICROS, [datetime(2026, 11, 22, 17, 30, 0, 1, UTC)]),
        (["23:59:59.999999", None], pa.time64("us"), [time(23, 59, 59, 999999), None]),
        (["t", "f", "true", None], pa.bool_(), [True, False, True, None]),
        (
            ["NaN", "-Infinity", "1e-300"],
            pa.float64(),
            [pytest.approx(float("nan"), nan_ok=True), -float("inf"), 1e-300],
        ),
        (["{}", None, "{1,NULL,-3}"], pa.list_(pa.int32()), [[], None, [1, None, -3]]),
        (
            ['{"a","","NULL",NULL,"\\"{},\\\\"}'],
            pa.list_(pa.string()),
            [["a", "", "NULL", None, '"{},\\']],
        ),
        (['{"2026-01-01",NULL}'], pa.list_(pa.date32()), [[date(2026, 1, 1), None]]),
        (["{1.50}"], pa.list_(pa.decimal128(10, 2)), [[Decimal("1.50")]]),
    ],
)
def test_text_becomes_what_arrow_has_for_it(texts: list[str | None], wanted: Any, values: list[Any]) -> None:
    found = typed(pa.array(texts, pa.string()), wanted)
    assert found.type == wanted
    assert found.to_pylist() == values


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("infinity", UTC_MICROS),
        ("0044-03-15 BC", pa.date32()),
        ("NaN", pa.decimal128(12, 2)),
        ("1.234", pa.decimal128(12, 2)),
        ("{{1,2},{3,4}}", pa.list_(pa.int32())),
        ("[0:1]={1,2}", pa.list_(pa.int32())),
        ("24:00:00", pa.time64("us")),
    ],
)
def test_what_arrow_cannot_hold_is_an_error_and_no_other_value(text: str, wanted: Any) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError)):
        typed(pa.array([text], pa.string()), wanted)


def test_avro_reads_back_what_was_written() -> None:
    table = pa.table(
        {
            "id": pa.array([1, None], pa.int64()),
            "odd Name": pa.array(["ä", None]),
            "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None], UTC_MICROS),
            "local": pa.array([datetime(2026, 1, 1, 12), None], pa.timestamp("us")),
            "day": pa.array([date(1960, 2, 29), None]),
            "hour": pa.array([time(23, 59, 59, 999999), None], pa.time64("us")),
            "price": pa.array([Decimal("-12.50"), None], pa.decimal128(12, 2)),
            "raw": pa.array([b"\x00", None]),
            "prices": pa.array([[Decimal("1.50"), None], None], pa.list_(pa.decimal128(10, 2))),
            "days": pa.array([[date(2026, 1, 1)], []], pa.list_(pa.date32())),
            "small": pa.array([1.5, None], pa.float32()),
            "yes": pa.array([True, None]),
        }
    )
    made = avro_rows.schema("public.odd-table", table.schema)
    body = io.BytesIO()
    rows = [row for batch in table.to_batches() for row in avro_rows.rows(batch, table.schema)]
    fastavro.writer(body, fastavro.parse_schema(made), rows)
    body.seek(0)
    found = list(fastavro.reader(body))
    expected = table.to_pylist()
    for row in expected:
        row["odd_Name"] = row.pop("odd Name")
    assert found == expected
