"""Random histories, each restored to three random moments: `python -m tests.histories.campaign`.

Each history has a database and a connector of its own: random DDL, rows, key changes and truncates, with
other sessions whose transactions lie across the first one's. Every restore must equal the source at that LSN,
its rows and its schema, or be refused; the last line is JSON, and the exit status is 0 only if nothing
differed. A connector that Debezium stopped is counted apart: it says so, and nothing was stored wrongly. The
histories with even seeds are over before Debezium reads any of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from deploy.local.endpoints import Endpoints
from deploy.local.temporary import given_or_temporary
from tests.faults.capture import Capture
from tests.histories.commands import CONTEXT, ForkedCapture
from tests.histories.history import History, Outcome


def one(
    endpoints: Endpoints,
    folder: Path,
    seed: int,
    transactions: int,
    keep: Path | None = None,
    kind: type[Capture] = Capture,
) -> Outcome:
    """One history from beginning to end, in an empty directory."""
    capture = kind(endpoints, folder, source={"exact_values": endpoints.converter.exact_values})
    history = History(capture, seed, transactions, keep)
    capture.more = history.begin()
    try:
        capture.make()
        history.run()
    finally:
        capture.remove()
    return history.outcome


def _alone(endpoints: Endpoints, seed: int, transactions: int, keep: Path | None) -> Outcome:
    """The same in a process of its own; what breaks it is a difference too."""
    with tempfile.TemporaryDirectory(prefix="replicator-history-") as scratch:
        try:
            return one(endpoints, Path(scratch), seed, transactions, keep, ForkedCapture)
        except Exception:  # noqa: BLE001 - the campaign goes on, and says it
            return Outcome(differed=[f"seed {seed} broke: {traceback.format_exc()[-4000:]}"])


def main() -> int:
    """Run the campaign; 0 only if no restore differed from its source."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories.campaign", description=__doc__)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--transactions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side-by-side", type=int, default=4, help="histories at a time, in one stack")
    parser.add_argument("--keep", type=Path, help="where to copy the segments of what wasn't equal")
    options = parser.parse_args()
    outcome, began = Outcome(), time.monotonic()
    with (
        given_or_temporary("histories") as stack,
        ProcessPoolExecutor(options.side_by_side, mp_context=CONTEXT) as pool,
    ):
        seeds = range(options.seed, options.seed + options.histories)
        running = [
            pool.submit(_alone, stack.endpoints, seed, options.transactions, options.keep) for seed in seeds
        ]
        try:
            for each in as_completed(running):
                found = each.result()
                outcome.add(found)
                print(
                    f"{time.monotonic() - began:.0f} s: {outcome.histories} histories, "
                    f"{outcome.restores} restores: {outcome.equal} equal, {outcome.refused.total()} refused, "
                    f"{len(outcome.differed)} differ, {len(outcome.stopped)} connectors stopped",
                    flush=True,
                )
                for line in (*found.differed, *found.stopped, *(f"refused: {why}" for why in found.refused)):
                    print(f"  {line}", flush=True)
        finally:
            # Ctrl-C: those that run come to their end, no other one begins.
            for each in running:
                each.cancel()
    seconds = round(time.monotonic() - began, 1)
    told = {name: getattr(outcome, name) for name in Outcome.__slots__}
    print(json.dumps({**told, "seconds": seconds, "exact": outcome.exact}))
    return 0 if outcome.exact else 1


if __name__ == "__main__":
    sys.exit(main())
