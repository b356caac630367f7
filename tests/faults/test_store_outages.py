"""The S3 server down for half a minute, slow, and failing half of its PUTs, while traffic goes on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.capture import Capture
from tests.faults.chains import Verdict
from tests.faults.moments import Moment, remember, restore_equals
from tests.faults.place import QUICK, Place, place_of
from tests.faults.proxy import Action, FaultProxy, Request, Respond
from tests.faults.sinks import wait_for
from tests.faults.topics import Ends
from tests.faults.traffic import Traffic

DOWN_S = 30.0
MEMORY = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    peak_rss: int
    notes: dict[str, float]


def half_of_the_puts(proxy: FaultProxy) -> None:
    turn = itertools.count()

    def rule(request: Request) -> Action:
        if request.method != "PUT":
            return None
        return Respond(503, b"<Error><Code>SlowDown</Code></Error>") if next(turn) % 2 else None

    proxy.rule = rule


def peak_rss(pid: int) -> int:
    """The most memory that the process ever held, in bytes (proc(5), VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Case:
    """A sink behind a proxy of its own. `disturb` begins, `mend` ends; both while traffic flows."""

    def __init__(self, place: Place, proxy: FaultProxy, kind: str) -> None:
        self.place, self.proxy, self.kind = place, proxy, kind
        config = place.config(endpoint_url=proxy.url, sections={"sink": {**QUICK, "memory_bytes": MEMORY}})
        self.sink = place.sink(config)
        self.notes: dict[str, float] = {}

    def disturb(self) -> None:
        if self.kind == "down":
            self.proxy.down()
        elif self.kind == "slow":
            self.proxy.delay_s, self.proxy.bytes_per_s = 0.3, 150_000.0
        else:
            half_of_the_puts(self.proxy)

    def mend(self) -> None:
        if self.kind == "down":
            assert self.sink.running, f"the sink gave up:\n{self.sink.said[-3000:]}"
            assert self.sink.ready() is not None, "/readyz said yes while nothing could be stored"
            self.proxy.up()
        else:
            self.proxy.heal()

    def finish(self, moment: Moment, ends: Ends) -> Outcome:
        began = time.monotonic()
        self.place.until_reached(ends, self.sink, deadline_s=120)
        self.notes["caught_up_s"] = time.monotonic() - began
        wait_for("readiness again", self.sink.ready, 20, self.sink)
        rss = peak_rss(self.sink.pid)
        self.sink.terminate()
        assert self.sink.wait(30) == 0, self.sink.said[-3000:]
        verdict = self.place.verify(ends)
        restore_equals(self.place.capture, self.place, moment)
        return Outcome(verdict, rss, self.notes)


KINDS = ("down", "slow", "half")


@pytest.fixture(scope="module")
def outcomes(capture: Capture) -> Iterator[dict[str, Future[Outcome]]]:
    """The three at the same time, on the same traffic, each with a destination and a sink of its own."""
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        cases = {}
        for kind in KINDS:
            place = stack.enter_context(place_of(capture))
            proxy = stack.enter_context(FaultProxy(place.server.url))
            cases[kind] = Case(place, proxy, kind)
            stack.enter_context(cases[kind].sink)
        before = capture.settle()
        for case in cases.values():
            case.place.until_reached(before, case.sink)
        with Traffic(capture.dsn, seed=11, rows=10, pause_s=0.4):
            for case in cases.values():
                case.disturb()
            time.sleep(DOWN_S)  # the length of the outage, not a wait for something
            moment = remember(capture)
            for case in cases.values():
                case.mend()
        ends = capture.settle()
        yield {kind: pool.submit(case.finish, moment, ends) for kind, case in cases.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_and_all_is_caught_up_with(outcomes: dict[str, Future[Outcome]], kind: str) -> None:
    outcome = outcomes[kind].result(timeout=300)
    assert outcome.verdict.overlaps == 0
    assert outcome.verdict.transactions > 100
    assert outcome.peak_rss < 256 * 2**20
