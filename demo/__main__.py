"""`make demo`: the whole way, for real, and a verdict. Exit status 0 only if everything is equal."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from demo import report, run, stage
from replicator import log
from replicator.errors import ReplicatorError

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / ".demo" / "report.json"
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration, print the verdict and write .demo/report.json."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    # What is to be seen is shown; the parts of the program that we use ourselves needn't log.
    log.configure("error", "console")
    REPORT.unlink(missing_ok=True)
    try:
        found = run.run(ROOT, options)
    except KeyboardInterrupt:
        print("interrupted; everything was taken down", file=sys.stderr)
        return _INTERRUPTED
    except ReplicatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    REPORT.write_text(json.dumps(found, indent=2) + "\n")
    _print_verdict(found)
    return 0 if found["equal"] else 1


def _options(arguments: list[str] | None) -> stage.Options:
    defaults = stage.Options()
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=defaults.rows, help="rows of history before the traffic")
    parser.add_argument("--rate", type=float, default=defaults.rate, help="transactions a second")
    parser.add_argument("--workers", type=int, default=defaults.workers, help="concurrent connections")
    parser.add_argument("--traffic-seconds", type=float, default=defaults.traffic_s, help="of live traffic")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    given = parser.parse_args(arguments)
    return stage.Options(
        rows=given.rows,
        rate=given.rate,
        workers=given.workers,
        traffic_s=given.traffic_seconds,
        seed=given.seed,
        keep=os.environ.get("DEMO_KEEP") == "1",
    )


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print_verdict(found: dict[str, Any]) -> None:
    print()
    print("EQUAL" if found["equal"] else "DIFFERENT")
    for line in report.lines(found):
        print(f"  {line}")
    print(f"  {found['seconds']:.0f} s in all; the report is {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
