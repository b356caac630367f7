"""`python -m bench.verify`: how fast `replicator verify` goes through a directory of segments.

The directory is filled with segments of about 15 MB as the sink writes them. Each depth runs as a process of
its own, in turns; medians. The files were just written, so they come from memory: what is measured is the
program, not the disk. The last line is JSON; `mb_per_s` counts stored bytes, in millions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import guests
from replicator.segment import container, splice
from replicator.segment.container import Header
from replicator.segment.name import Chain
from replicator.segment.splice import Columns
from replicator.storage.file import FileStore
from replicator.verify.holdings import MARK

_RECORDS = 200_000
"""In one segment."""
_BLOCK = 750
"""Records that make the 256 KiB at which the sink ends a block."""
_DEPTHS: dict[str, list[str]] = {"names": [], "deep": ["--deep"], "records": ["--records"]}


@dataclass(frozen=True, slots=True)
class Turn:
    """One run: its own report, and what the process used."""

    report: dict[str, Any]
    cpu_s: float


def fill(folder: Path, segments: int) -> None:
    """So many segments of the same records, each as another partition's, so that each has its own name."""
    store = FileStore(folder)
    mark = b'{"format":1,"installation":"bench","cluster_id":"bench"}'
    _put(store, MARK, mark)
    records = list(guests.records(_RECORDS, 3, 7))
    blocks = []
    for at in range(0, _RECORDS, _BLOCK):
        part = records[at : at + _BLOCK]
        columns = Columns(
            range(at, at + len(part)),
            [1_790_000_000_000 + offset // 12 for offset in range(at, at + len(part))],
            [key for key, _ in part],
            [value for _, value in part],
            [None] * len(part),
        )
        [run], _ = splice.splice(columns)
        blocks.append((run.count, container.compress(run.encoded)))
    for partition in range(segments):
        header = Header(
            "bench",
            Chain("bench.public.guests", "B" * 22, partition),
            0,
            _RECORDS,
            _RECORDS,
            ("7", guests.VALUE_SCHEMA),
            (("3", guests.KEY_SCHEMA),),
        )
        made = container.build(header, blocks)
        store.put(made.name.key(), made.body, sha256=made.sha256)


def _put(store: FileStore, key: str, body: bytes) -> None:
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest())


def turn(config: Path, options: list[str]) -> Turn:
    """One run of the command as people call it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "replicator", "--config", str(config), "verify", "disk", "--json", *options],
        stdout=subprocess.PIPE,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Turn(json.loads(done.stdout), cpu_s)


def measure(config: Path, repeats: int) -> dict[str, Any]:
    """Medians of all turns, by depth."""
    turns: dict[str, list[Turn]] = {depth: [] for depth in _DEPTHS}
    for number in range(repeats):
        for depth, options in _DEPTHS.items():
            one = turn(config, options)
            turns[depth].append(one)
            print(
                f"turn {number + 1}: {depth}: {one.report['seconds']:.2f} s, "
                f"{one.report['mb_per_s']:.0f} MB/s, {one.cpu_s:.1f} CPU s",
                flush=True,
            )
    size = turns["deep"][0].report["bytes"]
    segments = turns["deep"][0].report["segments"]

    def median(depth: str, figure: str) -> float:
        return statistics.median(float(one.report[figure]) for one in turns[depth])

    return {
        "bytes": size,
        "segments": segments,
        "cores": os.cpu_count(),
        "names_s": median("names", "seconds"),
        "deep_mb_per_s": median("deep", "mb_per_s"),
        "deep_cpu_s_per_gb": round(statistics.median(one.cpu_s for one in turns["deep"]) / size * 1e9, 2),
        "records_mb_per_s": median("records", "mb_per_s"),
        "records_per_s": round(segments * _RECORDS / median("records", "seconds")),
        "peak_rss_mb": max(one.report["peak_rss_mb"] for one in (*turns["deep"], *turns["records"])),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the figures as one line of JSON, last."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--segments", type=int, default=96, help="of about 15 MB each")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="bench-verify-"))
    try:
        place = folder / "disk"
        place.mkdir()
        fill(place, options.segments)
        config = folder / "replicator.yaml"
        config.write_text(
            json.dumps(
                {
                    "installation": "bench",
                    "kafka": {"bootstrap_servers": "127.0.0.1:9"},
                    "registry": {"url": "http://127.0.0.1:9"},
                    "source": {"dsn": "postgresql://nowhere/bench"},
                    "destinations": {"disk": {"type": "file", "path": str(place)}},
                }
            )
        )
        result = measure(config, options.repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
