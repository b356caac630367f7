from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from replicator.compare import record
from replicator.compare.point import parse_lsn
from replicator.errors import ConfigError, IntegrityError
from tests.unit.compare.test_report import SOURCE


def test_a_record_reads_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = record.Record("0/1A2B", datetime(2026, 5, 1, tzinfo=UTC), SOURCE)
    saved.save(tmp_path / "point.json")
    assert record.load(tmp_path / "point.json") == saved


def test_a_record_that_is_not_there_is_an_error_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"point\.json"):
        record.load(tmp_path / "point.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "lsn": "0/1"}'])
def test_a_damaged_record_proves_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "point.json"
    path.write_text(text)
    with pytest.raises(IntegrityError):
        record.load(path)


def test_an_lsn_is_a_number_of_bytes() -> None:
    assert parse_lsn("0/10") == 16
    assert parse_lsn("2/0") == 2 << 32
    assert parse_lsn("A/FFFFFFFF") < parse_lsn("B/0")
    with pytest.raises(ValueError):
        parse_lsn("nonsense")
