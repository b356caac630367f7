"""An invariant over tables at many random moments: `python -m tests.histories.invariant`.

Concurrent transfers between accounts in four tables, whose sum is zero after each transaction. Then the
tables are read as of random LSNs between the first transfer and the last, through the Python API: the sum has
to be zero at each, every transfer that was committed before it has to be there, and none that was committed
after it. The last line is JSON, and the exit status is 0 only if all of it held everywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

import pyarrow.compute as pc

import replicator
from deploy.local.endpoints import Endpoints
from deploy.local.temporary import given_or_temporary
from replicator.debezium.envelope import lsn_text
from replicator.errors import ReplicatorError
from tests.faults.capture import captured
from tests.histories.transfers import LEDGERS, SCHEMA, Transfer, Transfers


@dataclass(slots=True)
class Outcome:
    """What was found; `wrong` says what didn't hold, and where."""

    transfers: int = 0
    failed: int = 0
    moments: int = 0
    seconds_reading: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether it held at every moment, and there were some."""
        return not self.wrong and self.moments > 0


def run(endpoints: Endpoints, folder: Path, seed: int, moments: int, sessions: int, each: int) -> Outcome:
    """Transfers from so many sessions at once, and so many moments."""
    outcome = Outcome()
    with captured(endpoints, folder / "capture", more=SCHEMA, source={"partitions": 2}) as capture:
        store = folder / "store"
        store.mkdir(parents=True)
        transfers = Transfers(capture.dsn, seed, sessions, each)
        transfers.run()
        done = sorted(transfers.done, key=lambda each: each.until)
        outcome.transfers, outcome.failed = len(done), transfers.failed
        capture.settle()
        path = capture.write_config(
            "invariant",
            destinations={"store": {"type": "file", "path": str(store)}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
        )
        capture.replicator(path, "sink", "store", "--once", "--accept-unproven-values")
        random, begun = Random(seed), time.monotonic()
        with replicator.open_catalog(path) as catalog:
            for _ in range(moments):
                lsn = random.randint(done[0].after, done[-1].until)
                outcome.wrong += [f"at {lsn_text(lsn)}: {what}" for what in _wrong(catalog, lsn, done)]
                outcome.moments += 1
        outcome.seconds_reading = round(time.monotonic() - begun, 1)
    return outcome


def _wrong(catalog: replicator.Catalog, lsn: int, done: list[Transfer]) -> list[str]:
    """What doesn't hold at a moment."""
    try:
        then = catalog.at_lsn(lsn_text(lsn))
        total = sum(pc.sum(then.table(f"{name}_ledger")["cents"]).as_py() or 0 for name in LEDGERS)
        rows = then.table("transfers").to_pylist()
    except ReplicatorError as error:
        return [f"{type(error).__name__}: {error.message}"]
    found = {(row["session"], row["number"]) for row in rows}
    surely = {(each.session, each.number) for each in done if each.until <= lsn}
    perhaps = {(each.session, each.number) for each in done if each.after < lsn}
    wrong = [f"all accounts together have {total} cents"] if total else []
    wrong += [f"{len(surely - found)} transfers are missing"] if surely - found else []
    wrong += [f"{len(found - perhaps)} transfers came later"] if found - perhaps else []
    return wrong


def main() -> int:
    """Run it; 0 only if the invariant held at every moment."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories.invariant", description=__doc__)
    parser.add_argument("--moments", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--transfers", type=int, default=400, help="of each session")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        given_or_temporary("invariant") as stack,
        tempfile.TemporaryDirectory(prefix="replicator-invariant-") as scratch,
    ):
        outcome = run(
            stack.endpoints,
            Path(scratch),
            options.seed,
            options.moments,
            options.sessions,
            options.transfers,
        )
    print(json.dumps({**asdict(outcome), "seed": options.seed, "holds": outcome.holds}))
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
