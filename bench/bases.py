"""`make bench-bases`: what a long history costs a restore, with a base and without, against pg_restore -j2.

Rows are captured by Debezium's snapshot, and then every guest is updated several times, so that the history
has many times as many events as there are rows: in records made from captured ones (`bench.long_history`), or
really streamed (`--streamed`, which takes most of an hour). `replicator compact` folds all but the last of
these updates into a base. Then, in turns, each a process of its own into an empty database: `pg_restore -j2`
of a dump of the same data, `replicator restore` of the base alone, of the base and what came since, and with
`--no-base`. The last line is JSON; ratios are medians of the turns' own ratios, seconds are medians. A first
restore isn't counted: it compiles what has to be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import capture
from bench.capture import Capture, run
from bench.restore import Bench, Turn, in_turns, medians, ratio, stop_what_only_captures
from bench.say import say
from deploy.local.temporary import given_or_temporary
from replicator.debezium.envelope import lsn_text


def compacted(captured: Capture) -> dict[str, Any]:
    """The report of one compaction of everything; it stays in the capture."""
    command = [sys.executable, "-m", "replicator", "-c", str(captured.config), "--log-level", "warning"]
    made: dict[str, Any] = json.loads(run([*command, "compact", "store", "--json"]))
    return made


def lengthen(captured: Capture, rounds: int) -> None:
    """Let every guest be updated so many times more."""
    say(f"{rounds} updates of every guest are written")
    run([sys.executable, "-m", "bench.long_history", str(captured.folder / "segments"), str(rounds)])


def prepared(captured: Capture, updates: int, since: int) -> dict[str, Any]:
    """Make the history longer, the base in it, and what comes since; returns what compaction said.

    Done once for a capture that is kept.
    """
    note = captured.folder / "history.json"
    if not note.exists():
        lengthen(captured, updates - since)
        made = compacted(captured)
        say(f"base {made['base']} in {made['seconds']:.1f} s")
        lengthen(captured, since)
        note.write_text(json.dumps(made))
    found: dict[str, Any] = json.loads(note.read_text())
    return found


def measure(bench: Bench, base: str, repeats: int) -> dict[str, Any]:
    """All four in turns, so that a slow moment of the machine hits each."""
    alone = ("--to-lsn", lsn_text(int(base.partition("-")[0], 16)))
    measured: dict[str, Callable[[], Turn]] = {
        "pg_restore_j2": lambda: bench.pg_restore("-j2"),
        "base": lambda: bench.restore(to=alone),
        "base_and_since": bench.restore,
        "no_base": lambda: bench.restore("--no-base"),
    }
    turns = in_turns(bench, measured, repeats)
    reports = {name: json.loads(of[-1].output) for name, of in turns.items() if name != "pg_restore_j2"}
    assert {name: report["base"] for name, report in reports.items()} == {
        "base": base,
        "base_and_since": base,
        "no_base": None,
    }
    assert len({report["rows"] for report in reports.values()}) == 1

    return {
        "base_against_pg_restore_j2": ratio(turns, "base", "pg_restore_j2"),
        "base_and_since_against_base": ratio(turns, "base_and_since", "base"),
        "base_and_since_against_pg_restore_j2": ratio(turns, "base_and_since", "pg_restore_j2"),
        "no_base_against_base": ratio(turns, "no_base", "base"),
        "rows": reports["base"]["rows"],
        "events": {name: report["events"] for name, report in reports.items()},
        "seconds": medians(turns, lambda turn: turn.seconds),
        "client_cpu_s": medians(turns, lambda turn: turn.client_cpu),
        "server_cpu_s": medians(turns, lambda turn: turn.server_cpu),
        "bytes": {name: report["bytes"] for name, report in reports.items()},
        "peak_rss_mb": {name: report["peak_rss_mb"] for name, report in reports.items()},
        "repeats": repeats,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring up what is needed, measure, take it down, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--updates", type=int, default=16, help="of every guest; 16 are ten million events")
    parser.add_argument("--since", type=int, default=1, help="so many of them came after the base")
    parser.add_argument("--streamed", action="store_true", help="let Debezium stream those before the base")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the capture in DIR, or restore the one that lies there"
    )
    options = parser.parse_args(arguments)
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="bench-bases-"))).absolute()
    try:
        captured = Capture.load(folder)
        with given_or_temporary("bench", ("postgres",) if captured else capture.PARTS, say) as stack:
            if captured is None:
                streamed = options.updates - options.since if options.streamed else 0
                captured = capture.make(stack.endpoints, folder, options.rows, streamed)
                stop_what_only_captures(stack)
            updates = options.since if options.streamed else options.updates
            made = prepared(captured, updates, options.since)
            bench = Bench(stack.endpoints, stack.pid("postgres"), captured)
            result = measure(bench, made["base"], options.repeats)
            result["compact"] = {
                name: made[name]
                for name in ("made", "seconds", "peak_rss_mb", "read_bytes", "base_bytes", "base_records")
            }
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
