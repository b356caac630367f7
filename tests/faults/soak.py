"""A whole installation while its processes die at random and a store is flaky: `python -m tests.faults.soak`.

One `replicator run` with two destinations, of which one answers half of the PUTs with 503. Under live traffic
each process of the tree is killed by SIGKILL at random moments: sinks, control, now and then the supervisor,
which takes all others with it. Afterwards both destinations must hold every record of Kafka's once, `verify
--deep` and `compare` must find nothing, and restores of two moments from each must equal the source. The last
line is JSON; the exit status is 0 only if all of that holds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

import yaml

from deploy.local.endpoints import Endpoints
from replicator.points import new_key
from tests.faults import chains
from tests.faults.campaign import SINK, _endpoints
from tests.faults.capture import Capture, captured
from tests.faults.moments import Moment, remember, restore_equals
from tests.faults.place import Place, place_of
from tests.faults.proxy import Action, FaultProxy, Request, Respond
from tests.faults.sinks import wait_for
from tests.faults.traffic import Traffic
from tests.stack.controlled import SOON
from tests.stack.test_run import Run

SUPERVISOR = "run"
_SUPERVISOR_SHARE = 0.15
_EVERY_S = (2.0, 10.0)
"""Between two kills, at random: often enough to hit what is being taken over from the one before."""


@dataclass(slots=True)
class Outcome:
    """What was done and found."""

    seconds: float = 0.0
    changes: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    records: int = 0
    lost: int = 0
    invented: int = 0
    verified: int = 0
    compared: bool = False
    restores_equal: int = 0
    rows_compared: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether nothing is missing, nothing is invented, and every judge agrees."""
        agreed = self.verified == 2 and self.compared and self.restores_equal == 4
        return agreed and self.lost == self.invented == 0 and not self.problems


class Tree:
    """The installation, killed in parts or as a whole, and started again where nobody else does."""

    def __init__(self, config: Path, random: Random) -> None:
        self._config, self._random = config, random
        self._run = Run(config, "--instances", self._busiest())
        self.kills: Counter[str] = Counter()
        self._next = time.monotonic() + random.uniform(*_EVERY_S)

    def _busiest(self) -> str:
        return f"{next(iter(yaml.safe_load(self._config.read_text())['destinations']))}=2"

    def step(self) -> None:
        """Kill one, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._random.uniform(*_EVERY_S)
        children = sorted({each["child"] for each in self._run.told if each["event"] == "started"})
        if not children:
            return
        if self._random.random() < _SUPERVISOR_SHARE:
            self._run.kill()
            self._run = Run(self._config, "--instances", self._busiest())
            victim = SUPERVISOR
        else:
            victim = self._random.choice(children)
            with suppress(ProcessLookupError):
                os.kill(self._run.pid(victim), signal.SIGKILL)
        self.kills[victim.split(":")[0]] += 1
        print(f"  kill {self.kills.total()}: {victim}", flush=True)

    @property
    def said(self) -> str:
        """The end of the newest log."""
        return self._run.log.read_text(errors="replace")[-4000:]

    def end(self) -> int:
        """SIGTERM; its exit status."""
        self._run.signal(signal.SIGTERM)
        return self._run.end()

    def kill(self) -> None:
        self._run.kill()


def run(endpoints: Endpoints, directory: Path, seconds: float, seed: int) -> Outcome:
    """One soak on a running stack; its own database, topics and buckets go afterwards."""
    began, outcome = time.monotonic(), Outcome()
    with ExitStack() as stack:
        capture = stack.enter_context(captured(endpoints, directory))
        steady, flaky = stack.enter_context(place_of(capture)), stack.enter_context(place_of(capture))
        proxy = stack.enter_context(FaultProxy(flaky.server.url))
        proxy.rule = _half_of_the_puts(Random(seed))
        config = _config(capture, directory, steady, flaky, proxy)
        tree = Tree(config, Random(seed))
        stack.callback(tree.kill)
        moments = _under_traffic(capture, tree, outcome, seconds, seed)
        ends = capture.settle(deadline_s=300)
        for place in (steady, flaky):
            try:
                wait_for("durability", lambda store=place.store: chains.behind(store, ends), 120)  # type: ignore[misc]
            except AssertionError as error:
                raise AssertionError(f"{error}\n{tree.said}") from None
        outcome.kills = dict(tree.kills)
        status = tree.end()
        if status != 0:
            outcome.problems.append(f"the tree ended with {status}: {tree.said[-1000:]}")
        proxy.heal()
        _judge(capture, config, (steady, flaky), ends, moments, outcome)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _half_of_the_puts(random: Random) -> Callable[[Request], Action]:
    """By chance, not by turns: an operation of two PUTs would never come through by turns."""

    def rule(request: Request) -> Action:
        if request.method != "PUT" or random.random() < 0.5:
            return None
        return Respond(503, b"<Error><Code>SlowDown</Code></Error>")

    return rule


def _config(capture: Capture, directory: Path, steady: Place, flaky: Place, proxy: FaultProxy) -> Path:
    key = directory / "signing.pem"
    key.write_text(new_key())
    destinations: dict[str, object] = {}
    for place, url in ((steady, None), (flaky, proxy.url)):
        destinations |= yaml.safe_load(place.config(endpoint_url=url).read_text())["destinations"]
    control = {**SOON, "decide_within_s": 12.0, "signing_key": f"${{file:{key}}}"}
    return capture.write_config("soak", destinations=destinations, sink=SINK, control=control)


def _under_traffic(
    capture: Capture, tree: Tree, outcome: Outcome, seconds: float, seed: int
) -> tuple[Moment, Moment]:
    """Traffic and kills for so long; a moment halfway, and one at the end."""
    halfway: Moment | None = None
    began = time.monotonic()
    with Traffic(capture.dsn, seed=seed, rows=8, workers=2, pause_s=0.05) as traffic:
        while (passed := time.monotonic() - began) < seconds:
            if traffic.done:
                break  # a worker failed; leaving raises what stopped it
            tree.step()
            if halfway is None and passed >= seconds / 2:
                halfway = remember(capture)
            time.sleep(0.1)
    outcome.changes = traffic.changes
    assert halfway is not None
    return halfway, remember(capture)


def _judge(
    capture: Capture,
    config: Path,
    places: tuple[Place, Place],
    ends: dict[tuple[str, int], int],
    moments: tuple[Moment, Moment],
    outcome: Outcome,
) -> None:
    for place in places:
        verdict = chains.verify(
            place.store, capture.bootstrap, capture.endpoints.registry.url, capture.name, ends
        )
        outcome.records += verdict.records
        outcome.lost += verdict.lost
        outcome.invented += verdict.invented
        outcome.problems += verdict.problems[:10]
        done = capture.replicator(config, "verify", place.name, "--deep", "--committed", check=False)
        outcome.verified += done.returncode == 0
        if done.returncode != 0:
            outcome.problems.append(
                f"verify {place.name}: {done.returncode} {(done.stdout + done.stderr)[-1500:]}"
            )
        for moment in moments:
            outcome.rows_compared += restore_equals(capture, place, moment)
            outcome.restores_equal += 1
    # One lane's last heartbeat may be stored while another's isn't: of what was settled nothing differs.
    done = capture.replicator(config, "compare", *(place.name for place in places), "--deep", check=False)
    outcome.compared = done.returncode == 0
    if not outcome.compared:
        outcome.problems.append(f"compare: {done.returncode} {(done.stdout + done.stderr)[-1500:]}")


def main() -> int:
    """The long one."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with _endpoints() as endpoints, tempfile.TemporaryDirectory(prefix="replicator-soak-") as scratch:
        outcome = run(endpoints, Path(scratch) / "capture", options.minutes * 60, options.seed)
    print(json.dumps({**asdict(outcome), "exact": outcome.exact}))
    return 0 if outcome.exact else 1


if __name__ == "__main__":
    sys.exit(main())
