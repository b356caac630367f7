"""A captured history made longer: every guest updated again, in the records that Debezium would have written.

Ten million updates take Debezium most of an hour, and what reads segments doesn't mind who wrote them. Each
record has a captured row's own bytes as `before` and `after`, and around them what a captured update had,
with its own offset, transaction and LSN. The rows stay what they were, so a dump of the source is still a
dump of the same data.

`python -m bench.long_history SEGMENTS ROUNDS` is a process of its own: it holds every row, and what it starts
would be taken to have held them as well.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

from bench.say import say
from replicator.debezium.envelope import lsn_of, xid_of
from replicator.restore.segments.catalog import Catalog, ChainPieces
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.frames import frames
from replicator.restore.segments.records import AFTER, KEY, Scanner
from replicator.restore.segments.sources import Sources
from replicator.segment import container, varint
from replicator.segment.container import Header
from replicator.segment.read import open_header
from replicator.storage.file import FileStore

_SOURCE: Any = ("value", "source", "version")
"""The field behind `after`."""
_BLOCK = 600
_SEGMENT = 100_000
_TABLE = "public.guests"


@dataclass(slots=True)
class _End:
    """Where a chain ends: the header of its last segment, the last record in it, and the next offset."""

    header: Header
    last: dict[str, Any]
    next: int


class LongHistory:
    """The segments of a capture, to be continued."""

    def __init__(self, segments: Path) -> None:
        self._root = segments
        store = FileStore(segments)
        sources = Sources([("store", store)])
        catalog = sources.catalog()
        with tempfile.TemporaryDirectory(dir=segments.parent) as scratch:
            fetcher = Fetcher(sources, Path(scratch))
            try:
                self._guests = [
                    (_end(store, chain), _rows(fetcher, chain)) for chain in _chains(catalog, f".{_TABLE}")
                ]
            finally:
                fetcher.close()
        [transactions] = _chains(catalog, ".transaction")
        self._transactions = _end(store, transactions)

    def update_all(self) -> int:
        """Update every guest in one transaction; returns its xid."""
        last = self._transactions.last["value"]
        xid, begin = xid_of(last["id"]) + 1, lsn_of(last["id"]) + 2**24
        time_ms, count, lsn = last["ts_ms"] + 1000, 0, begin
        for end, rows in self._guests:
            self._update(end, rows, xid, lsn, time_ms)
            count, lsn = count + len(rows), lsn + 64 * len(rows)
        counts = [{"data_collection": _TABLE, "event_count": count}]
        begun = {"status": "BEGIN", "id": f"{xid}:{begin}", "ts_ms": time_ms}
        ended = {"status": "END", "id": f"{xid}:{lsn + 64}", "ts_ms": time_ms, "event_count": count}
        self._add(self._transactions, [begun, {**ended, "data_collections": counts}])
        say(f"transaction {xid} updates {count:,} guests")
        return xid

    def _update(self, end: _End, rows: list[bytes], xid: int, lsn: int, time_ms: int) -> None:
        event: dict[str, Any] = dict(end.last["value"])
        event |= {"before": None, "after": None, "ts_ms": time_ms, "op": "u"}
        event["source"] = {
            **event["source"],
            "txId": xid,
            "lsn": lsn,
            "ts_ms": time_ms,
            "ts_us": time_ms * 1000,
        }
        event["transaction"] = {"id": f"{xid}:{lsn}", "total_order": 1, "data_collection_order": 1}
        # Behind the two NULLs stands what is behind the two rows; only the LSN differs from record to record.
        before_lsn, behind_lsn = _encoded(end.header, event)[2:].split(varint.long(lsn))
        time = varint.long(time_ms)
        for first in range(0, len(rows), _SEGMENT):
            blocks = []
            for at in range(first, min(first + _SEGMENT, len(rows)), _BLOCK):
                part = rows[at : min(at + _BLOCK, first + _SEGMENT)]
                body = b"".join(
                    b"".join(
                        (
                            varint.long(end.next + i),
                            time,
                            row,
                            before_lsn,
                            varint.long(lsn + 64 * (at + i)),
                            behind_lsn,
                        )
                    )
                    for i, row in enumerate(part)
                )
                blocks.append((len(part), container.compress(body)))
                end.next += len(part)
            self._write(end, blocks)

    def _add(self, end: _End, values: list[dict[str, Any]]) -> None:
        body = b""
        for value in values:
            record = {**end.last, "offset": end.next, "value": value}
            head = varint.long(end.next) + varint.long(value["ts_ms"]) + _keyed(record["key"])
            body += head + _encoded(end.header, value)
            end.last, end.next = record, end.next + 1
        self._write(end, [(len(values), container.compress(body))])

    def _write(self, end: _End, blocks: list[tuple[int, bytes]]) -> None:
        """A segment up to `end.next`, without the syncs of a destination."""
        was, count = end.header, sum(count for count, _ in blocks)
        end.header = Header(
            was.cluster_id, was.chain, was.next, end.next, count, was.value_schema, was.key_schemas,
            was.first_timestamp, was.last_timestamp,
        )  # fmt: skip
        made = container.build(end.header, blocks)
        (self._root / made.name.key()).write_bytes(made.body)


def _end(store: FileStore, chain: ChainPieces) -> _End:
    body = store.get(chain.pieces[-1].name.key())
    last: Any = list(fastavro.reader(BytesIO(body)))[-1]
    return _End(open_header(body).header, last, chain.next)


def _chains(catalog: Catalog, ending: str) -> list[ChainPieces]:
    return [chain for chain in catalog if chain.chain.topic.endswith(ending)]


def _rows(fetcher: Fetcher, chain: ChainPieces) -> list[bytes]:
    """Of each key what all records of an update of it have between their time and their source."""
    found: dict[bytes, bytes] = {}
    scanner = Scanner(KEY, AFTER, _SOURCE)
    for frame in frames(fetcher.fetch(chain.pieces)):
        for chunk in scanner.chunks(frame):
            data = memoryview(chunk.columns.data)
            keys = zip(*(side.tolist() for side in chunk.texts(KEY)), strict=True)
            rows = zip(chunk.texts(AFTER)[0].tolist(), chunk.texts(_SOURCE)[0].tolist(), strict=True)
            for (start, length), (row, source) in zip(keys, rows, strict=True):
                # The source begins with its version's length, of one byte.
                found[bytes(data[start : start + length])] = bytes(data[row : source - 1])
    return [_keyed(key) + b"\x02" + row + b"\x02" + row for key, row in found.items()]


def _keyed(key: bytes) -> bytes:
    """A record's key, no headers, and that there is a value."""
    return b"\x02" + varint.long(len(key)) + key + b"\x00\x02"


def _encoded(header: Header, value: dict[str, Any]) -> bytes:
    body = BytesIO()
    assert header.value_schema is not None
    fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(header.value_schema[1])), value)
    return body.getvalue()


def main() -> None:
    """Update every guest so many times."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_history", description=__doc__)
    parser.add_argument("segments", type=Path)
    parser.add_argument("rounds", type=int)
    chosen = parser.parse_args()
    longer = LongHistory(chosen.segments)
    for _ in range(chosen.rounds):
        longer.update_all()


if __name__ == "__main__":
    main()
