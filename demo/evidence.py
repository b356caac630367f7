"""What lies in the bucket after the run, read back and counted: nothing here believes the sink.

Every segment is downloaded and read with DataFusion. Lost: events that a transaction's END promises and no
segment holds. Duplicated: events that are there more often than END says. The recovery point: from the
commit in PostgreSQL (`source.ts_us`) to the moment at which the segment that holds the row was durable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from datafusion import SessionContext

from replicator import config
from replicator.segment.name import CHANGES, SegmentName
from replicator.segment.read import open_header
from replicator.storage import open_store

Place = tuple[str, int, int, int]
"""Topic, partition, first, next."""
_CHANGES_SQL = """
SELECT "offset" AS place, value['op'] AS op, value['source']['txId'] AS xid, value['source']['ts_us'] AS us
FROM segments
"""
_ENDS_SQL = """
SELECT "offset" AS place, value['id'] AS id, value['data_collections'] AS counts
FROM segments WHERE value['status'] = 'END'
"""


@dataclass(slots=True)
class Evidence:
    """The counts, and one delay in seconds for every streamed row change."""

    segments: int = 0
    bytes: int = 0
    transactions: int = 0
    snapshot_rows: int = 0
    changes: int = 0
    lost: int = 0
    duplicated: int = 0
    stored_twice: int = 0
    xids: set[int] = field(default_factory=set)
    """The transactions whose END is stored."""
    delays: list[tuple[datetime, float]] = field(default_factory=list)

    def missing(self, acknowledged: Iterable[int]) -> list[int]:
        """Transactions that PostgreSQL acknowledged and that aren't stored; Debezium's ids have 32 bits."""
        return sorted(xid for xid in set(acknowledged) if xid % 2**32 not in self.xids)

    def percentiles(self, leave_out: tuple[datetime, datetime] | None = None) -> dict[str, float]:
        """p50, p99 and maximum of the delays, without what was on its way at any time of the given span."""
        return _percentiles(
            delay
            for commit, delay in self.delays
            if leave_out is None or commit > leave_out[1] or commit + timedelta(seconds=delay) < leave_out[0]
        )

    def percentiles_within(self, begin: datetime, end: datetime) -> dict[str, float]:
        """The same of what was committed from `begin` on and before `end`."""
        return _percentiles(delay for commit, delay in self.delays if begin <= commit < end)


def _percentiles(delays: Iterable[float]) -> dict[str, float]:
    chosen = sorted(delays)
    if not chosen:
        return {"p50": float("nan"), "p99": float("nan"), "max": float("nan")}
    return {
        "p50": round(chosen[len(chosen) // 2], 3),
        "p99": round(chosen[min(len(chosen) - 1, int(len(chosen) * 0.99))], 3),
        "max": round(chosen[-1], 3),
    }


def collect(
    settings: config.Config,
    destination: str,
    durable: Mapping[Place, datetime],
    scratch: Path,
    up_to: int | None = None,
) -> Evidence:
    """Read everything in the destination, and count the transactions whose END lies at or before `up_to`.

    The bucket fills while it is read, heartbeats go on: without a limit a transaction could be counted whose
    rows came after their partition was listed. `durable` is when the sinks reported each segment; one that a
    killed sink stored without reporting it counts from the store's own time, which is up to a second later.
    """
    evidence = Evidence()
    stored = _download(settings, destination, durable, scratch, evidence)
    expected: Counter[tuple[int, str]] = Counter()
    found: Counter[tuple[int, str]] = Counter()
    context = SessionContext()
    for (topic, _), partition in sorted(stored.items()):
        kind = topic.removeprefix(f"{settings.installation}.")
        if "." not in kind and kind != "transaction":
            continue
        seen: set[int] = set()
        for folder in sorted(partition.folders):
            for row in _query(context, folder, _ENDS_SQL if kind == "transaction" else _CHANGES_SQL):
                if row["place"] in seen:
                    evidence.stored_twice += 1
                    continue
                seen.add(row["place"])
                if kind == "transaction":
                    _count_end(row, up_to, expected, evidence)
                elif row["op"] == "r":
                    evidence.snapshot_rows += 1
                else:
                    found[row["xid"], kind] += 1
                    _note_change(row, kind, partition.durable_at(row["place"]), evidence)
    promised = {xid for xid, _ in expected}
    evidence.lost = sum((expected - found).values())
    # A transaction whose END isn't stored yet, or is beyond `up_to`, may still be on its way: not counted.
    evidence.duplicated = sum(count for (xid, _), count in (found - expected).items() if xid in promised)
    return evidence


@dataclass(slots=True)
class _Partition:
    """A partition's files, a folder for each value schema, and when each of its segments was durable."""

    folders: set[Path] = field(default_factory=set)
    segments: list[tuple[int, datetime]] = field(default_factory=list)

    def durable_at(self, offset: int) -> datetime:
        index = bisect_right(self.segments, offset, key=lambda segment: segment[0])
        return self.segments[index - 1][1]


def _download(
    settings: config.Config,
    destination: str,
    durable: Mapping[Place, datetime],
    scratch: Path,
    evidence: Evidence,
) -> dict[tuple[str, int], _Partition]:
    store = open_store(settings.destination(destination))
    partitions: dict[tuple[str, int], _Partition] = defaultdict(_Partition)
    try:
        # In the order of keys, which within a partition is the order of offsets.
        for info in store.list(CHANGES):
            name = SegmentName.parse(info.key)
            if name is None:
                continue
            body = store.get(info.key)
            evidence.segments += 1
            evidence.bytes += len(body)
            header = open_header(body, info.key).header
            if header.count == 0 or header.value_schema is None:
                continue
            when = durable.get((name.topic, name.partition, name.first, name.next)) or info.modified
            assert when is not None, f"{info.key} has no time"
            folder = scratch / name.topic / f"{name.partition}-{header.value_schema[0]}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name.first:020d}.{name.sha256_16}.avro").write_bytes(body)
            partition = partitions[name.topic, name.partition]
            partition.folders.add(folder)
            partition.segments.append((name.first, when))
    finally:
        store.close()
    return partitions


def _query(context: SessionContext, folder: Path, query: str) -> Iterable[dict[str, Any]]:
    context.deregister_table("segments")
    context.register_avro("segments", str(folder))
    for batch in context.sql(query).collect():
        yield from batch.to_pylist()


def _count_end(
    row: dict[str, Any], up_to: int | None, expected: Counter[tuple[int, str]], evidence: Evidence
) -> None:
    xid, lsn = map(int, row["id"].split(":", 1))
    if up_to is not None and lsn > up_to:
        return
    evidence.transactions += 1
    evidence.xids.add(xid)
    for each in row["counts"] or ():
        expected[xid, each["data_collection"]] += each["event_count"]


def _note_change(row: dict[str, Any], kind: str, at: datetime, evidence: Evidence) -> None:
    evidence.changes += 1
    if not kind.startswith("replicator."):
        commit = datetime.fromtimestamp(row["us"] / 1e6, UTC)
        evidence.delays.append((commit, (at - commit).total_seconds()))
