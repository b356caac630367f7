"""One huge transaction on the real path: `python -m tests.histories.huge`.

It inserts a million rows, deletes half of them behind a savepoint and takes that back, and updates them all.
The database is restored to just before it and to just after it, and compared with the source at both. The
last line is JSON with the times, in seconds, and the largest resident sets of sink and restores; the exit
status is 0 only if both are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from deploy.local.endpoints import Endpoints
from deploy.local.temporary import given_or_temporary
from replicator import compare
from tests.faults.capture import ROOT, Capture, captured

_TABLE = "CREATE TABLE huge (id bigint PRIMARY KEY, v text, n int, at timestamptz)"
_STATEMENTS = (
    "INSERT INTO huge SELECT n, md5(n::text), n, now() FROM generate_series(1, {rows}) n",
    "SAVEPOINT here",
    "DELETE FROM huge WHERE id % 2 = 0",
    "ROLLBACK TO here",
    "UPDATE huge SET n = -n, v = v || 'x' WHERE true",
)


@dataclass(slots=True)
class Outcome:
    """What it took; `wrong` says what differed from the source."""

    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    rss_mb: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run(endpoints: Endpoints, folder: Path, rows: int) -> Outcome:
    """The transaction of that many rows, captured, stored, and restored twice."""
    outcome = Outcome(rows)
    with captured(endpoints, folder / "capture", more=_TABLE, source={"partitions": 2}) as capture:
        store = folder / "store"
        store.mkdir(parents=True)
        moments = {"before": _held(capture.dsn)}
        begun = time.monotonic()
        with psycopg.connect(capture.dsn) as connection:
            for statement in _STATEMENTS:
                connection.execute(statement.format(rows=rows).encode())
        moments["after"] = _held(capture.dsn)
        capture.settle(1800)
        outcome.seconds["until it was in Kafka"] = round(time.monotonic() - begun, 1)
        path = capture.write_config(
            "huge",
            destinations={"store": {"type": "file", "path": str(store)}},
            sink={"metrics_port": 0},
        )
        _measured(outcome, "sink", path, "sink", "store", "--once", "--accept-unproven-values")
        for name, (lsn, digests) in moments.items():
            _restore(capture, outcome, path, name, lsn, digests)
    return outcome


def _held(dsn: str) -> tuple[str, compare.Digests]:
    with compare.hold(dsn) as point:
        return point.lsn, compare.capture_within(point.connection, schemas=("public",))


def _restore(
    capture: Capture, outcome: Outcome, path: Path, name: str, lsn: str, digests: compare.Digests
) -> None:
    target = f"{capture.name}_{name}"
    dsn = capture.endpoints.postgres.dsn_of(target)
    with psycopg.connect(capture.endpoints.postgres.dsn, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{target}"'.encode())
        try:
            _measured(outcome, f"restore {name}", path, "restore", "--to-lsn", lsn, "--target", dsn)
            found = compare.compare(digests, compare.capture(dsn, schemas=("public",)))
            outcome.wrong += [] if found.equal else [f"{name}: {line}" for line in found.lines()[:4]]
        finally:
            admin.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)'.encode())


def _measured(outcome: Outcome, what: str, path: Path, *arguments: str) -> None:
    """Run a command of ours to its end, and note its time and its largest resident set."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "replicator", "-c", str(path), *arguments]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")[-800:]
            outcome.wrong.append(f"{what}: exit status {process.returncode}: {said}")
    outcome.seconds[what] = round(time.monotonic() - begun, 1)
    outcome.rss_mb[what] = used.ru_maxrss // 1024


def main() -> int:
    """Run it; 0 only if both moments are equal to the source."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories.huge", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with (
        given_or_temporary("huge") as stack,
        tempfile.TemporaryDirectory(prefix="replicator-huge-") as scratch,
    ):
        outcome = run(stack.endpoints, Path(scratch), options.rows)
    print(json.dumps({**asdict(outcome), "equal": not outcome.wrong}))
    return 0 if not outcome.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
