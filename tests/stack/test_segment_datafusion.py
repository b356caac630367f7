"""Segments of real records, opened by a reader that knows nothing of them: DataFusion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datafusion
import pytest

from deploy.local.endpoints import Endpoints
from tests.faults.raw import RawInstallation, raw_installation
from tests.faults.sinks import Sink


@pytest.fixture
def raw(stack: Endpoints, tmp_path: Path) -> Iterator[RawInstallation]:
    with raw_installation(stack, tmp_path / "raw") as made:
        yield made


def test_datafusion_reads_a_directory_of_segments_as_one_table(raw: RawInstallation, tmp_path: Path) -> None:
    raw.create("guests")
    raw.produce("guests", 3000)
    directory = tmp_path / "changes"
    directory.mkdir()
    config = raw.write_config(
        "disk",
        destinations={"disk": {"type": "file", "path": str(directory)}},
        sink={"segment_bytes": 65536},
    )
    with Sink(config, "disk", "--once") as sink:
        assert sink.wait(90) == 0, sink.said[-3000:]
    segments = sorted((directory / "v1" / "changes" / raw.topic("guests")).rglob("*.avro"))
    assert len(segments) > 1, "records enough for several segments"

    context = datafusion.SessionContext()
    for number, segment in enumerate(segments):
        context.register_avro(f"segment{number}", str(segment))
    union = " UNION ALL ".join(f"SELECT * FROM segment{number}" for number in range(len(segments)))
    [answer] = context.sql(
        'SELECT count(*) AS records, count(DISTINCT "offset") AS offsets, min("offset") AS first, '
        f"max(\"offset\") AS last, sum(value['n']) AS total FROM ({union})"
    ).to_pylist()
    assert answer == {
        "records": 3000,
        "offsets": 3000,
        "first": 0,
        "last": 2999,
        "total": 2999 * 3000 // 2,
    }
    [row] = context.sql(
        f"SELECT key, value['text'] AS text FROM ({union}) WHERE \"offset\" = 700"
    ).to_pylist()
    assert row["key"] == raw.key(700)
    assert row["text"].startswith("record 700 ")
