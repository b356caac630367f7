"""SIGKILL at each named place between consuming and committing: nothing is lost, nothing is there twice.

Each case ends with every record of the destination compared with Kafka's, and for each place a restore to a
moment in the middle of the traffic is compared with the source row by row.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from replicator.writer.process import failpoints
from tests.faults.capture import Capture
from tests.faults.chains import Verdict
from tests.faults.moments import Moment, remember, restore_equals
from tests.faults.place import Place, place_of
from tests.faults.topics import Ends
from tests.faults.traffic import Traffic

RESTORED = 4
"""The kill after which a restore is made, too: there is something before it and behind it. After the other
one the destination holds the same records, each once; to restore them again would show nothing more."""
CASES = [f"{name}:{nth}" for name in failpoints.SINK for nth in (1, RESTORED)]


def die_and_recover(place: Place, failpoint: str, moment: Moment, ends: Ends) -> Verdict:
    with place.sink(failpoint=failpoint) as sink:
        status = sink.wait(60)
        assert status == -signal.SIGKILL, f"ended with {status} instead of dying:\n{sink.said[-3000:]}"
    place.drain()
    verdict = place.verify(ends)
    if failpoint.endswith(f":{RESTORED}"):
        restore_equals(place.capture, place, moment)
    return verdict


@pytest.fixture(scope="module")
def outcomes(capture: Capture) -> Iterator[dict[str, Future[Verdict]]]:
    """All cases on the same topics, three at a time: most of it is waiting for dead members' sessions."""
    with Traffic(capture.dsn, seed=5, rows=20):
        moment = remember(capture)
    ends = capture.settle()
    with ExitStack() as places, ThreadPoolExecutor(3) as pool:
        yield {
            case: pool.submit(die_and_recover, places.enter_context(place_of(capture)), case, moment, ends)
            for case in CASES
        }


@pytest.mark.parametrize("case", CASES)
def test_a_kill_there_loses_nothing_and_repeats_nothing(
    outcomes: dict[str, Future[Verdict]], case: str
) -> None:
    verdict = outcomes[case].result(timeout=300)
    assert verdict.overlaps == 0, f"what was durable was written again: {verdict}"
    assert verdict.transactions > 50
