"""A million changes while sinks die by SIGKILL at random moments: `python -m tests.faults.campaign`.

Two sinks share a destination; at random points of the stream one of them is killed, wherever it is, and
started again. At the end every record of Kafka's must be in the bucket once, and restores to two moments must
equal the source. The last line is JSON; the exit status is 0 only if nothing was lost and nothing invented.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from deploy.local.endpoints import Endpoints
from deploy.local.stack import Stack
from deploy.local.temporary import VARIABLE, temporary
from tests.faults import chains
from tests.faults.capture import Capture, captured
from tests.faults.moments import Moment, remember, restore_equals
from tests.faults.place import Place, place_of
from tests.faults.sinks import Sink
from tests.faults.traffic import Traffic

SINK = {"segment_bytes": 2 * 2**20, "max_age_s": 1.0, "drain_deadline_s": 10.0}


@dataclass(slots=True)
class Outcome:
    """What a campaign did and found; seconds include the waits for dead members' sessions."""

    changes: int = 0
    transactions: int = 0
    records: int = 0
    segments: int = 0
    kills: int = 0
    lost: int = 0
    invented: int = 0
    overlaps: int = 0
    restores_equal: int = 0
    rows_compared: int = 0
    seconds: float = 0.0
    problems: str = ""

    @property
    def exact(self) -> bool:
        return self.lost == 0 and self.invented == 0 and self.restores_equal == 2 and not self.problems


class Killing:
    """Sinks of one place, killed whenever the durable stream passes one of the chosen points."""

    def __init__(self, place: Place, instances: int, kills: int, expected: int, random: Random) -> None:
        self._place = place
        self._config = place.config(sections={"sink": SINK})
        self._random = random
        self._points = sorted(random.uniform(0.01, 0.95) * expected for _ in range(kills))
        self._sinks: list[Sink] = [place.sink(self._config) for _ in range(instances)]
        self.kills = 0

    def step(self) -> int:
        """Kill if it is time to; how many records (and markers) are durable."""
        durable = sum(chains.reached(chains.listed(self._place.store)).values())
        while self._points and durable >= self._points[0]:
            self._points.pop(0)
            time.sleep(self._random.uniform(0.0, 0.5))  # so that kills aren't tied to a segment's end
            self._kill(self._random.randrange(len(self._sinks)))
        for number, sink in enumerate(self._sinks):
            if not sink.running:
                raise AssertionError(f"sink {number} ended by itself:\n{sink.said[-4000:]}")
        return durable

    def _kill(self, number: int) -> None:
        self._sinks[number].kill()
        self.kills += 1
        print(f"  kill {self.kills}: sink {number}, {len(self._points)} to go", flush=True)
        self._sinks[number] = self._place.sink(self._config)

    def spend(self) -> None:
        """Do what kills are left, at once: the stream ended before their points."""
        while self._points:
            self._points.pop(0)
            self._kill(self._random.randrange(len(self._sinks)))

    def close(self) -> None:
        for sink in self._sinks:
            sink.kill()


def run(
    endpoints: Endpoints, directory: Path, changes: int, kills: int, instances: int, seed: int
) -> Outcome:
    """One campaign on a running stack; its own database, topics and bucket go afterwards."""
    began = time.monotonic()
    outcome = Outcome()
    with ExitStack() as stack:
        capture = stack.enter_context(captured(endpoints, directory))
        place = stack.enter_context(place_of(capture))
        killing = Killing(place, instances, kills, changes, Random(seed))
        stack.callback(killing.close)
        moments = _stream(capture, place, killing, outcome, changes, seed)
        outcome.kills = killing.kills
        killing.close()
        ends = capture.settle(deadline_s=900)
        place.drain(deadline_s=300)
        verdict = chains.verify(
            place.store,
            capture.bootstrap,
            endpoints.registry.url,
            capture.name,
            ends,
            values=False,
        )
        outcome.records, outcome.segments, outcome.overlaps = (
            verdict.records,
            verdict.segments,
            verdict.overlaps,
        )
        outcome.lost, outcome.invented = verdict.lost, verdict.invented
        outcome.problems = "; ".join(verdict.problems[:10])
        print(f"  {verdict}", flush=True)
        for moment in moments:
            try:
                outcome.rows_compared += restore_equals(capture, place, moment)
                outcome.restores_equal += 1
            except (AssertionError, subprocess.CalledProcessError) as error:
                outcome.problems += f"; restore to {moment.lsn}: {error}"
        if not outcome.exact and "CAMPAIGN_KEEP" in os.environ:
            input(f"{outcome}\nkept until Enter: database {capture.name}, bucket {place.bucket}")
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _stream(
    capture: Capture, place: Place, killing: Killing, outcome: Outcome, changes: int, seed: int
) -> list[Moment]:
    """Make the changes and kill meanwhile, until all is durable; a moment halfway, and one at the end."""
    moments: list[Moment] = []
    traffic = Traffic(capture.dsn, seed=seed, rows=100, workers=2, changes=changes).start()
    shown = 0.0
    while not traffic.done:
        durable = killing.step()
        if not moments and traffic.changes >= changes / 2:
            moments.append(remember(capture))
        if time.monotonic() - shown > 5:
            shown = time.monotonic()
            print(f"  {traffic.changes:,} changes made, {durable:,} offsets durable", flush=True)
        time.sleep(0.2)
    traffic.join()
    outcome.changes, outcome.transactions = traffic.changes, traffic.transactions
    moments.append(remember(capture))
    deadline = time.monotonic() + 1800
    while killing.step() < changes:
        if time.monotonic() > deadline:
            raise AssertionError(f"not durable after 1800 s: {chains.behind(place.store, capture.settle())}")
        if time.monotonic() - shown > 5:
            shown = time.monotonic()
            print(
                f"  {sum(chains.reached(chains.listed(place.store)).values()):,} offsets durable", flush=True
            )
        time.sleep(0.2)
    killing.spend()
    return moments


@contextmanager
def _endpoints() -> Iterator[Endpoints]:
    """The running stack that REPLICATOR_STACK_DIR names, or one for this campaign alone."""
    named = os.environ.get(VARIABLE)
    if named:
        yield Stack(Path(named)).endpoints
        return
    with temporary("campaign", progress=lambda line: print(line, flush=True)) as stack:
        yield stack.endpoints


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--changes", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with _endpoints() as endpoints, tempfile.TemporaryDirectory(prefix="replicator-campaign-") as scratch:
        outcome = run(
            endpoints,
            Path(scratch) / "capture",
            options.changes,
            options.kills,
            options.instances,
            options.seed,
        )
    print(json.dumps({**asdict(outcome), "exact": outcome.exact}))
    return 0 if outcome.exact else 1


if __name__ == "__main__":
    sys.exit(main())
