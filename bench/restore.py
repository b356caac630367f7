"""`make bench-restore`: a restore from plain segments against pg_restore of the same data, in the same run.

A million rows with keys, indexes and foreign keys are captured by Debezium's snapshot, some of them changed
afterwards, and stored by the sink. What only the capture needed is stopped. Then, in turns, `pg_restore` of a
`pg_dump -Fc`, plain and with two jobs, and `replicator restore --latest`, each a process of its own, into an
empty database of the same server. The last line is JSON: `ratio` is against plain `pg_restore`, `ratio_j2`
against `pg_restore -j2`, `digests_ratio` is a restore with `--digests` against one without, each the median
of the turns' own ratios, so that a slow moment of the machine hits both sides; seconds are medians, CPU
seconds the clients' and the server's. A first restore isn't counted: it compiles what is compiled once on a
machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import capture, cpu
from bench.capture import Capture, run
from bench.say import say
from deploy.local.endpoints import Endpoints
from deploy.local.stack import Stack
from deploy.local.temporary import VARIABLE, given_or_temporary


@dataclass(frozen=True, slots=True)
class Turn:
    """One measured command: seconds, and CPU seconds of the client and of PostgreSQL."""

    seconds: float
    client_cpu: float
    server_cpu: float
    output: str


class Bench:
    """One capture, restored in two ways as often as asked."""

    def __init__(self, endpoints: Endpoints, postmaster: int, captured: Capture) -> None:
        self._endpoints = endpoints
        self._postmaster = postmaster
        self._capture = captured
        self._name = f"bench{os.getpid()}_r"
        # An installed package has its bytecode beside it, so this checkout has it as well.
        self._environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        self._environment["PYTHONPYCACHEPREFIX"] = str(captured.folder / "bytecode")

    def pg_restore(self, *options: str) -> Turn:
        """One pg_restore into an empty database."""
        program = str(Path(self._endpoints.postgres.bin) / "pg_restore")
        return self._turn(
            lambda dsn: [program, *options, "--exit-on-error", "-d", dsn, str(self._capture.dump)]
        )

    def restore(self, *options: str, to: Sequence[str] = ("--latest",)) -> Turn:
        """One restore of ours, start of the process included; its report is the output."""
        begin = [
            sys.executable,
            "-m",
            "replicator",
            "-c",
            str(self._capture.config),
            "--log-level",
            "warning",
        ]
        return self._turn(lambda dsn: [*begin, "restore", *to, "--target", dsn, "--json", *options])

    def _turn(self, command: Callable[[str], list[str]]) -> Turn:
        with self._target() as dsn:
            client, server = _children_cpu(), cpu.with_children(self._postmaster)
            begun = time.monotonic()
            output = run(command(dsn), self._environment)
            seconds = time.monotonic() - begun
            self._wait_for_sessions_to_end()
            return Turn(
                seconds,
                _children_cpu() - client,
                cpu.with_children(self._postmaster) - server,
                output,
            )

    @contextmanager
    def _target(self) -> Iterator[str]:
        self._admin(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
        self._admin(f"CREATE DATABASE {self._name}")
        # Nothing of what was written before is still on its way to the disk.
        self._admin("CHECKPOINT")
        os.sync()
        try:
            yield self._endpoints.postgres.dsn_of(self._name)
        finally:
            self._admin(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")

    def _wait_for_sessions_to_end(self, deadline_s: float = 10.0) -> None:
        """The postmaster counts what its children used once they have ended."""
        end = time.monotonic() + deadline_s
        with psycopg.connect(self._endpoints.postgres.dsn, autocommit=True) as connection:
            while True:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (self._name,)
                ).fetchone()
                if row is None or row[0] == 0:
                    return
                if time.monotonic() > end:
                    raise SystemExit(f"{row[0]} sessions in {self._name} didn't end in {deadline_s:.0f} s")
                time.sleep(0.05)

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self._endpoints.postgres.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


def measure(bench: Bench, captured: Capture, repeats: int) -> dict[str, Any]:
    """All of them in turns, so that a slow moment of the machine hits each; medians of seconds."""
    measured: dict[str, Callable[[], Turn]] = {
        "pg_restore": bench.pg_restore,
        "pg_restore_j2": lambda: bench.pg_restore("-j2"),
        "restore": bench.restore,
        "restore_digests": lambda: bench.restore("--digests"),
    }
    turns = in_turns(bench, measured, repeats)
    seconds = {name: statistics.median(each.seconds for each in of) for name, of in turns.items()}
    restores = sorted(turns["restore"], key=lambda turn: turn.seconds)
    reports = [json.loads(turn.output) for turn in restores]
    typical = reports[(len(reports) - 1) // 2]
    rows, ours = typical["rows"], seconds["restore"]
    return {
        "ratio": ratio(turns, "restore", "pg_restore"),
        "ratio_against": "pg_restore",
        "ratio_j2": ratio(turns, "restore", "pg_restore_j2"),
        "digests_ratio": ratio(turns, "restore_digests", "restore"),
        "rows": rows,
        "rows_per_s": round(rows / ours),
        "events": typical["events"],
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "pg_dump_s": round(captured.dump_s, 2),
        "client_cpu_s": medians(turns, lambda turn: turn.client_cpu),
        "server_cpu_s": medians(turns, lambda turn: turn.server_cpu),
        "cpu_s_per_million": round(statistics.median(turn.client_cpu for turn in restores) * 1e6 / rows, 2),
        "segment_bytes": typical["bytes"],
        "dump_bytes": captured.dump.stat().st_size,
        "peak_rss_mb": max(report["peak_rss_mb"] for report in reports),
        "phases": typical["phases"],
        "repeats": repeats,
    }


def in_turns(bench: Bench, measured: Mapping[str, Callable[[], Turn]], repeats: int) -> dict[str, list[Turn]]:
    """Each of them so often, one after the other, once a restore has warmed everything up."""
    bench.restore()
    turns: dict[str, list[Turn]] = {name: [] for name in measured}
    for number in range(1, repeats + 1):
        for name, command in measured.items():
            turns[name].append(command())
        say(f"turn {number}: " + ", ".join(f"{name} {of[-1].seconds:.2f} s" for name, of in turns.items()))
    return turns


def ratio(turns: Mapping[str, list[Turn]], ours: str, theirs: str) -> float:
    """The median of what one took against the other in the same turn."""
    pairs = zip(turns[ours], turns[theirs], strict=True)
    return round(statistics.median(one.seconds / other.seconds for one, other in pairs), 3)


def medians(turns: Mapping[str, list[Turn]], of: Callable[[Turn], float]) -> dict[str, float]:
    """The median of a figure for each that was measured."""
    return {name: round(statistics.median(map(of, each)), 2) for name, each in turns.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring up what is needed, measure, take it down, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the capture in DIR, or restore the one that lies there"
    )
    options = parser.parse_args(arguments)
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="bench-restore-"))).absolute()
    try:
        captured = Capture.load(folder)
        with given_or_temporary("bench", ("postgres",) if captured else capture.PARTS, say) as stack:
            if captured is None:
                captured = capture.make(stack.endpoints, folder, options.rows)
                stop_what_only_captures(stack)
            bench = Bench(stack.endpoints, stack.pid("postgres"), captured)
            result = measure(bench, captured, options.repeats)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


def stop_what_only_captures(stack: Stack) -> None:
    """Java machines that idle still take their share of the cores; a stack that was there stays as it is."""
    if os.environ.get(VARIABLE) is None:
        for part in reversed(capture.PARTS):
            if part != "postgres":
                stack.stop(part)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
