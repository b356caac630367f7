"""The demonstration's own counting: does it see a lost change, a change twice, and the delay of each?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.evidence import Evidence, collect
from replicator.config import Config, FileDestination
from replicator.segment.container import Header, build, compress
from replicator.segment.name import Chain
from replicator.segment.splice import splice
from replicator.storage import open_store
from tests.unit.segment.records import columns, encode, prefix

COMMIT = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANGE = json.dumps(
    {
        "type": "record",
        "name": "Envelope",
        "fields": [
            {"name": "op", "type": "string"},
            {
                "name": "source",
                "type": {
                    "type": "record",
                    "name": "Source",
                    "fields": [
                        {"name": "txId", "type": ["null", "long"]},
                        {"name": "ts_us", "type": ["null", "long"]},
                    ],
                },
            },
        ],
    }
)
END = json.dumps(
    {
        "type": "record",
        "name": "Transaction",
        "fields": [
            {"name": "status", "type": "string"},
            {"name": "id", "type": "string"},
            {
                "name": "data_collections",
                "type": [
                    "null",
                    {
                        "type": "array",
                        "items": {
                            "type": "record",
                            "name": "Count",
                            "fields": [
                                {"name": "data_collection", "type": "string"},
                                {"name": "event_count", "type": "long"},
                            ],
                        },
                    },
                ],
            },
        ],
    }
)


@dataclass
class Bucket:
    """A directory that segments are put into, and when each of them was durable."""

    settings: Config
    durable: dict[tuple[str, int, int, int], datetime] = field(default_factory=dict)

    def put(
        self, topic: str, schema: str, values: list[dict[str, object]], first: int, after_s: float
    ) -> None:
        chain = Chain(f"shop.{topic}", "A" * 22, 0)
        offsets = range(first, first + len(values))
        spliced, poison = splice(
            columns(offsets, values=[prefix(7) + encode(schema, value) for value in values])
        )
        assert poison is None
        block = b"".join(run.encoded for run in spliced)
        header = Header("cluster", chain, first, first + len(values), len(values), ("7", schema))
        segment = build(header, [(len(values), compress(block))])
        store = open_store(self.settings.destination("copy"))
        store.put(segment.name.key(), segment.body, sha256=segment.sha256)
        store.close()
        self.durable[chain.topic, 0, first, first + len(values)] = COMMIT + timedelta(seconds=after_s)

    def changes(self, xids: list[int], first: int = 0, after_s: float = 1.0, op: str = "c") -> None:
        us = int(COMMIT.timestamp() * 1e6)
        values: list[dict[str, object]] = [{"op": op, "source": {"txId": xid, "ts_us": us}} for xid in xids]
        self.put("public.guests", CHANGE, values, first, after_s)

    def ends(self, counts: dict[int, int]) -> None:
        values: list[dict[str, object]] = [
            {
                "status": "END",
                "id": f"{xid}:99",
                "data_collections": [{"data_collection": "public.guests", "event_count": count}],
            }
            for xid, count in counts.items()
        ]
        self.put("transaction", END, values, 0, 1.0)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    (tmp_path / "copy").mkdir()
    return Bucket(
        Config.model_validate(
            {
                "installation": "shop",
                "kafka": {"bootstrap_servers": "127.0.0.1:1"},
                "registry": {"url": "http://127.0.0.1:1"},
                "source": {"dsn": "postgresql://127.0.0.1:1/x"},
                "destinations": {"copy": FileDestination(type="file", path=tmp_path / "copy")},
            }
        )
    )


def _collect(bucket: Bucket, tmp_path: Path) -> Evidence:
    return collect(bucket.settings, "copy", bucket.durable, tmp_path / "scratch")


def test_a_complete_bucket_has_lost_and_duplicated_nothing(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 2, 6: 1})
    bucket.changes([5, 5], 0, after_s=1.5)
    bucket.changes([6], 2, after_s=2.5)
    found = _collect(bucket, tmp_path)
    assert (found.transactions, found.changes, found.segments) == (2, 3, 3)
    assert (found.lost, found.duplicated, found.stored_twice) == (0, 0, 0)
    assert sorted(delay for _, delay in found.delays) == [1.5, 1.5, 2.5]


def test_a_change_that_an_end_promises_and_no_segment_holds_is_lost(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 2, 6: 1})
    bucket.changes([5])
    assert _collect(bucket, tmp_path).lost == 2


def test_a_change_more_than_an_end_says_is_duplicated(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 1})
    bucket.changes([5, 5])
    assert _collect(bucket, tmp_path).duplicated == 1


def test_an_offset_in_two_segments_counts_once(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 3})
    bucket.changes([5, 5])
    bucket.changes([5, 5], first=1)
    found = _collect(bucket, tmp_path)
    assert (found.lost, found.duplicated, found.stored_twice) == (0, 0, 1)


def test_a_transaction_without_its_end_promises_nothing_yet(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 1})
    bucket.changes([5, 6, 6])
    found = _collect(bucket, tmp_path)
    assert (found.lost, found.duplicated) == (0, 0)


def test_transactions_beyond_the_limit_are_not_counted(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 1, 6: 1})
    bucket.changes([5, 7])
    found = collect(bucket.settings, "copy", bucket.durable, tmp_path / "scratch", up_to=98)
    assert (found.transactions, found.lost, found.duplicated) == (0, 0, 0)
    found = collect(bucket.settings, "copy", bucket.durable, tmp_path / "scratch2", up_to=99)
    assert (found.transactions, found.lost, found.duplicated) == (2, 1, 0)


def test_a_commit_that_was_acknowledged_and_is_not_stored_is_missed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 1, 7: 1})
    bucket.changes([5, 7])
    assert _collect(bucket, tmp_path).missing([5, 6, 2**32 + 7]) == [6]


def test_rows_of_the_snapshot_are_no_changes(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ends({5: 1})
    bucket.changes([0, 0], op="r")
    bucket.changes([5], first=2)
    found = _collect(bucket, tmp_path)
    assert (found.snapshot_rows, found.changes) == (2, 1)


def test_what_was_on_its_way_during_a_crash_is_left_out_of_the_undisturbed_delays() -> None:
    delays = [(COMMIT + timedelta(seconds=second), 1.0) for second in range(100)]
    delays[48] = (COMMIT + timedelta(seconds=48), 12.0)
    evidence = Evidence(delays=delays)
    crash = (COMMIT + timedelta(seconds=50), COMMIT + timedelta(seconds=60))
    assert evidence.percentiles() == {"p50": 1.0, "p99": 12.0, "max": 12.0}
    assert evidence.percentiles(crash) == {"p50": 1.0, "p99": 1.0, "max": 1.0}
