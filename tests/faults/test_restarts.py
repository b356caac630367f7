"""The broker, Connect and the registry killed under a running capture and a running sink."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from deploy.local.errors import StackError
from tests.conftest import StackControl
from tests.faults.capture import Capture
from tests.faults.moments import remember, restore_equals
from tests.faults.place import Place
from tests.faults.sinks import wait_for
from tests.faults.traffic import Traffic

pytestmark = pytest.mark.alone


def runs(capture: Capture) -> Callable[[], str | None]:
    """None when the connector's task runs."""
    config = capture.write_config("status")

    def missing() -> str | None:
        done = capture.replicator(config, "connect", "status", check=False)
        return None if done.returncode == 0 else f"{done.stdout[-500:]} {done.stderr[-500:]}"

    return missing


@pytest.mark.parametrize("part", ["kafka", "connect"])
def test_a_killed_part_comes_back_and_nothing_is_lost_or_repeated(
    stack_control: StackControl, capture: Capture, place: Place, part: str
) -> None:
    with place.sink() as sink, Traffic(capture.dsn, seed=31, rows=10, pause_s=0.4):
        wait_for("readiness", sink.ready, 60, sink)
        stack_control.stop(part, signal.SIGKILL)
        time.sleep(3.0)  # the length of the outage, not a wait for something
        stack_control.start(part)
        wait_for("a running connector", runs(capture), 120)
        assert sink.running, f"the sink gave up:\n{sink.said[-3000:]}"
        moment = remember(capture)
        ends = capture.settle()
        place.until_reached(ends, sink, deadline_s=120)
        wait_for("readiness again", sink.ready, 30, sink)
    verdict = place.verify(ends)
    assert verdict.overlaps == 0, str(verdict)
    restore_equals(capture, place, moment)


def test_without_the_registry_a_sink_waits_and_forgets_nothing(
    stack_control: StackControl, capture: Capture, place: Place
) -> None:
    moment = remember(capture)
    ends = capture.settle()
    stack_control.stop("registry", signal.SIGKILL)
    try:
        with place.sink() as sink:
            wait_for("a word of it", lambda: None if "registry" in sink.said else "none", 60, sink)
            wait_for("its /readyz", lambda: None if "registry" in str(sink.ready()) else "none", 30, sink)
            assert place.behind(ends) is not None
            stack_control.start("registry")
            place.until_reached(ends, sink)
            wait_for("readiness", sink.ready, 30, sink)
    finally:
        with suppress(StackError):  # it runs already, unless the test failed early
            stack_control.start("registry")
    place.verify(ends)
    restore_equals(capture, place, moment)
