"""Whether a destination holds exactly what Kafka holds: every record once, none altered, none invented.

Nothing here uses the sink's own bookkeeping: segments are read with fastavro, and compared with what a plain
consumer reads and what the transaction topic counts.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import fastavro
import requests

from replicator.segment import read
from replicator.segment.name import CHANGES, Chain, SegmentName
from replicator.storage import ObjectStore
from tests.faults import topics
from tests.faults.topics import Ends

EVERY = 5
"""Every fifth record is decoded on both sides and compared; of all others keys and places are."""


PLACES = {
    "type": "record",
    "name": "ChangeRecord",
    "fields": [
        {"name": "offset", "type": "long"},
        {"name": "timestamp", "type": "long"},
        {"name": "key", "type": ["null", "bytes"]},
    ],
}
"""What is read of a record when its value isn't."""


@dataclass(slots=True)
class Verdict:
    """What was compared, and what was wrong: empty for a destination that is exact."""

    records: int = 0
    segments: int = 0
    transactions: int = 0
    rows_counted: int = 0
    overlaps: int = 0
    lost: int = 0
    invented: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.records} records in {self.segments} segments, {self.transactions} transactions with "
            f"{self.rows_counted} rows, {self.overlaps} overlaps; "
            + ("; ".join(self.problems[:10]) or "exact")
        )


def listed(store: ObjectStore) -> dict[Chain, list[SegmentName]]:
    """The segments of each chain, in offset order; an object that isn't a segment's name is an error."""
    chains: dict[Chain, list[SegmentName]] = defaultdict(list)
    for info in store.list(CHANGES):
        name = SegmentName.parse(info.key)
        assert name is not None, f"{info.key} is no segment's name"
        chains[name.chain].append(name)
    for names in chains.values():
        names.sort(key=lambda name: (name.first, -name.next))
    return dict(chains)


def reached(chains: dict[Chain, list[SegmentName]]) -> Ends:
    """How far each partition's chain reaches without a hole."""
    ends: Ends = {}
    for chain, names in chains.items():
        at = chain.place
        end = 0
        for name in names:
            if name.first > end:
                break
            end = max(end, name.next)
        ends[at] = max(ends.get(at, 0), end)
    return ends


def behind(store: ObjectStore, ends: Ends) -> str | None:
    """What the destination still lacks of `ends`, in words; None when it has reached them."""
    have = reached(listed(store))
    missing = [
        f"{topic}[{partition}] has {have.get((topic, partition), 0)} of {end}"
        for (topic, partition), end in sorted(ends.items())
        if have.get((topic, partition), 0) < end
    ]
    return "; ".join(missing) or None


def verify(
    store: ObjectStore,
    bootstrap: str,
    registry_url: str,
    installation: str,
    ends: Ends,
    *,
    count: bool = True,
    values: bool = True,
) -> Verdict:
    """Compare the destination with Kafka up to `ends`, record by record; with `count` by transactions too.

    Without `values` only places, keys and times are read: several times quicker; nothing is counted then.
    """
    verdict = Verdict()
    schemas = _Registry(registry_url)
    chains = listed(store)
    kept: dict[tuple[str, int], dict[int, tuple[bytes | None, int, Any]]] = defaultdict(dict)
    counts = _Counts(installation)
    for chain, names in chains.items():
        for record in _resolved(store, names, verdict, values):
            at = chain.place
            offset = record["offset"]
            if offset >= ends.get(at, 0):
                continue
            sample = record["value"] if values and offset % EVERY == 0 else None
            kept[at][offset] = (record["key"], _milliseconds(record["timestamp"]), sample)
            if count and values:
                counts.add(at, offset, record["value"])
    for (topic, partition), end in ends.items():
        have = reached(chains).get((topic, partition), 0)
        if have < end:
            verdict.problems.append(f"{topic}[{partition}] reaches {have} of {end}")
    for message in topics.records(bootstrap, ends):
        _compare(message, kept, schemas, verdict)
    for (topic, partition), left in kept.items():
        verdict.invented += len(left)
        if left:
            verdict.problems.append(
                f"{topic}[{partition}]: {len(left)} records that Kafka doesn't have: {min(left)}"
            )
    if count and values:
        counts.check(verdict)
    return verdict


def _resolved(
    store: ObjectStore, names: list[SegmentName], verdict: Verdict, values: bool
) -> Iterator[dict[str, Any]]:
    """A chain's records, each offset once: of overlapping segments the one that begins first gives them, and
    one that lies within it gives what it left out."""
    cursor = 0
    lacking: set[int] = set()
    for name in names:
        verdict.segments += 1
        if name.first > cursor:
            verdict.problems.append(f"{name.chain}: a hole from {cursor} to {name.first}")
        filling = lacking.issuperset(range(name.first, name.next))
        if name.first < cursor and not filling:
            verdict.overlaps += 1
        body = store.get(name.key())
        for gap in read.open_header(body).header.left_out:
            lacking |= set(range(max(gap.first, cursor), gap.next))
        if values:
            read.check(name, body)
        assert hashlib.sha256(body).hexdigest().startswith(name.sha256_16), f"{name.key()} is damaged"
        for record in fastavro.reader(BytesIO(body), None if values else PLACES):
            assert isinstance(record, dict)
            if record["offset"] >= cursor or record["offset"] in lacking:
                lacking.discard(record["offset"])
                verdict.records += 1
                yield record
        cursor = max(cursor, name.next)


def _compare(message: Any, kept: Any, schemas: _Registry, verdict: Verdict) -> None:
    at = (message.topic(), message.partition())
    found = kept[at].pop(message.offset(), None)
    place = f"{at[0]}[{at[1]}]@{message.offset()}"
    if found is None:
        verdict.lost += 1
        verdict.problems.append(f"{place} is missing")
        return
    key, timestamp, sample = found
    if key != message.key() or timestamp != message.timestamp()[1]:
        verdict.problems.append(f"{place} has another key or time")
    if sample is not None and sample != schemas.decode(message.value()):
        verdict.problems.append(f"{place} has another value")


def _milliseconds(value: Any) -> int:
    return value if isinstance(value, int) else round(value.timestamp() * 1000)


class _Counts:
    """Rows of each transaction in each table, against what its END says."""

    def __init__(self, installation: str) -> None:
        self._prefix = f"{installation}."
        self._rows: Counter[tuple[str, str]] = Counter()
        self._orders: Counter[tuple[str, int]] = Counter()
        self._ends: list[tuple[str, dict[str, int]]] = []
        self._last: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)

    def add(self, at: tuple[str, int], offset: int, value: Any) -> None:
        topic = at[0]
        if topic == f"{self._prefix}transaction":
            if value["status"] == "END":
                counts = {
                    each["data_collection"]: each["event_count"] for each in value["data_collections"] or []
                }
                self._ends.append((value["id"].split(":")[0], counts))
            return
        table = topic.removeprefix(self._prefix)
        if not table.startswith("public.") or not isinstance(value, dict) or value.get("transaction") is None:
            return
        xid = str(value["source"]["txId"])
        self._rows[xid, table] += 1
        self._orders[xid, value["transaction"]["total_order"]] += 1
        self._last[at][xid] = offset

    def check(self, verdict: Verdict) -> None:
        seen: set[tuple[str, str]] = set()
        for xid, counts in self._ends:
            verdict.transactions += 1
            for table, wanted in counts.items():
                if not table.startswith("public."):
                    continue
                seen.add((xid, table))
                verdict.rows_counted += wanted
                if self._rows[xid, table] != wanted:
                    verdict.problems.append(
                        f"transaction {xid} has {self._rows[xid, table]} of {wanted} rows in {table}"
                    )
        for xid in {xid for xid, _ in set(self._rows) - seen} - self._at_the_edge({xid for xid, _ in seen}):
            verdict.problems.append(f"transaction {xid} has rows that no END counts")
        twice = [order for order, times in self._orders.items() if times > 1]
        if twice:
            verdict.problems.append(f"{len(twice)} rows are there twice: {twice[:3]}")

    def _at_the_edge(self, ended: set[str]) -> set[str]:
        """Transactions of which nothing is followed by a row of one that ended: the newest of live traffic.

        Debezium writes in commit order, so their ENDs lie beyond the ends that were compared.
        """
        edge = {xid for rows in self._last.values() for xid in rows if xid not in ended}
        for rows in self._last.values():
            newest = max((offset for xid, offset in rows.items() if xid in ended), default=-1)
            edge -= {xid for xid, offset in rows.items() if offset < newest}
        return edge


class _Registry:
    """Schemas by id, straight from the registry."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._schemas: dict[int, Any] = {}

    def decode(self, payload: bytes) -> Any:
        number = int.from_bytes(payload[1:5], "big")
        if number not in self._schemas:
            answer = requests.get(f"{self._url}/schemas/ids/{number}", timeout=30)
            answer.raise_for_status()
            self._schemas[number] = fastavro.parse_schema(json.loads(answer.json()["schema"]))
        return fastavro.schemaless_reader(BytesIO(payload[5:]), self._schemas[number], None)
