"""`python -m bench.plan`: how long `replicator restore --plan` takes for 50,000 segments.

The directory is filled with segments as a sink makes them that seals every second: of each second one of the
transaction topic and one of each partition that changed. Nothing but their number is unusual. Each turn is a
process of its own, from its start to its end, to a moment in the middle and to the latest; medians. The last
line is JSON, in seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro

from bench import guests
from bench.say import say
from replicator.config import load
from replicator.debezium.envelope import lsn_text
from replicator.rollup import service as rollup
from replicator.segment import container
from replicator.segment.container import Header
from replicator.segment.name import Chain
from replicator.segment.schema import record_schema
from replicator.verify.holdings import MARK

_PARTITIONS = 3
_TABLES = 12
_BEGIN_MS = 1_790_000_000_000
_LSN = 0x100000000
_TRANSACTION = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "status", "type": "string"},
        {"name": "id", "type": "string"},
        {"name": "event_count", "type": ["null", "long"]},
        {
            "name": "data_collections",
            "type": [
                "null",
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "collection",
                        "fields": [
                            {"name": "data_collection", "type": "string"},
                            {"name": "event_count", "type": "long"},
                        ],
                    },
                },
            ],
        },
        {"name": "ts_ms", "type": "long"},
    ],
}
_NOTIFICATION = {
    "type": "record",
    "name": "note",
    "fields": [
        {"name": "type", "type": "string"},
        {"name": "aggregate_type", "type": "string"},
        {"name": "additional_data", "type": ["null", {"type": "map", "values": "string"}]},
        {"name": "timestamp", "type": "long"},
    ],
}
_DDL_ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "kind", "type": "string"},
        *(
            {"name": name, "type": ["null", "string"]}
            for name in ("tag", "object_type", "schema_name", "object_identity", "query", "search_path")
        ),
        {"name": "object_oid", "type": ["null", "long"]},
        {"name": "definition", "type": ["null", "string"]},
        {"name": "dump", "type": ["null", "string"]},
    ],
}


class Store:
    """A directory of segments: the next one of each chain begins where the one before ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next: dict[Chain, int] = {}
        self._schemas: dict[str, Any] = {}
        self.segments = 0
        body = json.dumps({"format": 1, "installation": "bench", "cluster_id": "bench"}).encode()
        self._write(MARK, body)

    def add(
        self, topic: str, schema: Mapping[str, Any], values: Iterable[Mapping[str, Any]], partition: int = 0
    ) -> None:
        """One segment with a record of each value."""
        chain = Chain(f"bench.{topic}", "B" * 22, partition)
        text = json.dumps(schema)
        if text not in self._schemas:
            self._schemas[text] = fastavro.parse_schema(json.loads(record_schema(text)))
        first = at = self._next.get(chain, 0)
        body = io.BytesIO()
        for value in values:
            record = {"offset": at, "timestamp": _BEGIN_MS, "key": b"k", "headers": [], "value": value}
            fastavro.schemaless_writer(body, self._schemas[text], record)
            at += 1
        header = Header("bench", chain, first, at, at - first, ("7", text), (("3", guests.KEY_SCHEMA),))
        made = container.build(header, [(at - first, container.compress(body.getvalue()))])
        self._write(made.name.key(), made.body)
        self._next[chain] = at
        self.segments += 1

    def _write(self, key: str, body: bytes) -> None:
        """Without the syncs of a destination, which would take most of an hour."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def fill(store: Store, segments: int) -> int:
    """The history of twelve tables with a transaction a second; returns the LSN in its middle."""
    names = [f"t{number}" for number in range(_TABLES)]
    definitions = [_definition(name) for name in names]
    dump = "".join(
        f"--\n-- Name: {name}; Type: TABLE; Schema: public; Owner: -\n--\n\n"
        f"CREATE TABLE public.{name} (wedding_id bigint);\n\n"
        for name in names
    )
    columns: Any = _DDL_ROW["fields"]
    row: dict[str, Any] = {field["name"]: None for field in columns}
    row |= {"id": 1, "kind": "dump", "definition": json.dumps({"tables": definitions}), "dump": dump}
    store.add("replicator.ddl_log", _envelope(_DDL_ROW, "ddl"), [_event("r", None, _LSN, row)])
    done = {"status": "SUCCEEDED", "total_rows_scanned": "0"}
    notes = [_note("STARTED", {})]
    notes += [
        _note("TABLE_SCAN_COMPLETED", {**done, "scanned_collection": f"public.{name}"}) for name in names
    ]
    scanned = {**done, "scanned_collection": "replicator.ddl_log", "total_rows_scanned": "1"}
    store.add(
        "notification",
        _NOTIFICATION,
        [*notes, _note("TABLE_SCAN_COMPLETED", scanned), _note("COMPLETED", {})],
    )
    schema = json.loads(guests.VALUE_SCHEMA)
    columns = guests.ROW["fields"]
    guest: dict[str, Any] = {field["name"]: None for field in columns}
    guest |= {"wedding_id": 1, "guest_id": 1, "name": "Ada", "household": "h", "token": "t" * 40}
    second = 0
    # Of each second: the transactions' segment, and one of six tables that changed.
    while store.segments < segments:
        second += 1
        xid, lsn = 1000 + second, _LSN + second * 1000
        changed = [
            (names[(second + turn) % _TABLES], (second + turn) // _TABLES % _PARTITIONS) for turn in range(6)
        ]
        for name, partition in changed:
            store.add(f"public.{name}", schema, [_event("c", xid, lsn + 5, guest)] * 2, partition)
        counts = [{"data_collection": f"public.{name}", "event_count": 2} for name, _ in changed]
        ended = {"id": f"{xid}:{lsn + 9}", "event_count": 12, "data_collections": counts}
        begun = {"status": "BEGIN", "id": f"{xid}:{lsn}", "ts_ms": _BEGIN_MS + second * 1000}
        begun |= {"event_count": None, "data_collections": None}
        store.add("transaction", _TRANSACTION, [begun, {**begun, **ended, "status": "END"}])
    return _LSN + second // 2 * 1000 + 500


def _definition(name: str) -> dict[str, Any]:
    return {
        "table": f"public.{name}",
        "oid": 16384 + int(name.removeprefix("t")),
        "kind": "r",
        "persistence": "p",
        "columns": [{"attnum": 1, "name": "wedding_id", "type": "bigint", "missing": None}],
        "constraints": [],
        "indexes": [],
        "partition_of": None,
    }


def _envelope(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(guests.VALUE_SCHEMA)
    made["namespace"] = f"bench.{name}"
    made["fields"][0]["type"] = ["null", row]
    return made


def _event(op: str, xid: int | None, lsn: int, after: Mapping[str, Any]) -> dict[str, Any]:
    source = {"version": "3", "connector": "postgresql", "name": "bench", "ts_ms": 1, "snapshot": None}
    source |= {"db": "b", "sequence": None, "ts_us": _BEGIN_MS * 1000, "schema": "public", "table": "t"}
    return {
        "before": None,
        "after": after,
        "source": {**source, "txId": xid, "lsn": lsn},
        "op": op,
        "ts_ms": 1,
        "transaction": None,
    }


def _note(kind: str, more: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "aggregate_type": "Initial Snapshot",
        "additional_data": dict(more),
        "timestamp": _BEGIN_MS,
    }


def _timed(config: Path, *target: str) -> tuple[float, float, dict[str, Any]]:
    """Seconds and CPU seconds of one plan, and what it said."""
    command = [sys.executable, "-m", "replicator", "-c", str(config), "restore", *target, "--plan", "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    # Compiled modules are kept, as those of an installed package are.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=kept, check=True)
    seconds = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, json.loads(done.stdout)


def main() -> None:
    """Fill, plan in turns, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__)
    parser.add_argument("--segments", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--rolled-up", action="store_true", help="after `replicator rollup`, all of it at once"
    )
    parser.add_argument("--folder", type=Path, help="kept, and used again when it is there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as temporary:
        folder = chosen.folder or Path(temporary)
        note = folder / "middle"
        if not note.exists():
            say(f"writing {chosen.segments:,} segments")
            (folder / "store").mkdir(parents=True, exist_ok=True)
            note.write_text(lsn_text(fill(Store(folder / "store"), chosen.segments)))
        config = folder / "replicator.yaml"
        config.write_text(
            json.dumps(
                {
                    "installation": "bench",
                    "kafka": {"bootstrap_servers": "127.0.0.1:9"},
                    "registry": {"url": "http://127.0.0.1:9"},
                    "source": {"dsn": "postgresql://127.0.0.1:9/none"},
                    "destinations": {"store": {"type": "file", "path": str(folder / "store")}},
                }
            )
        )
        config.chmod(0o600)
        if chosen.rolled_up:
            say("rolling up")
            for _ in range(2):
                rollup.run(load(config), "store", apply=True, grace_h=0, age=timedelta(0))
        targets = {"middle": ("--to-lsn", note.read_text()), "latest": ("--latest",)}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in targets}
        said: dict[str, Any] = {}
        _timed(config, "--latest")
        for turn in range(chosen.turns):
            for name, target in targets.items():
                seconds, cpu, said = _timed(config, *target)
                found[name].append((seconds, cpu))
                say(f"turn {turn + 1}, {name}: {seconds:.2f} s, {cpu:.2f} CPU seconds")
        stored = list((folder / "store" / "v1" / "changes").rglob("*.avro"))
        result: dict[str, Any] = {
            "segments": chosen.segments,
            "objects": len(stored),
            "bytes": sum(path.stat().st_size for path in stored),
        }
        result |= {"transactions": said["transactions_stored"]}
        for name, times in found.items():
            result[name] = {
                "seconds": round(statistics.median(each for each, _ in times), 2),
                "cpu_seconds": round(statistics.median(each for _, each in times), 2),
            }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
