"""Members of a group that freeze, come back, join and leave while others upload."""

from __future__ import annotations

import signal

from tests.faults import chains
from tests.faults.capture import Capture
from tests.faults.moments import remember, restore_equals
from tests.faults.place import Place
from tests.faults.proxy import FaultProxy
from tests.faults.sinks import wait_for
from tests.faults.traffic import Traffic


def test_a_zombie_that_wakes_after_its_session_harms_nothing(capture: Capture, place: Place) -> None:
    """Frozen in the middle of uploads for longer than its session; another takes its partitions over."""
    with FaultProxy(place.server.url) as proxy:
        config = place.config(endpoint_url=proxy.url)
        with place.sink(config) as zombie, Traffic(capture.dsn, seed=21, rows=10, pause_s=0.4):
            wait_for("the first segments", lambda: None if chains.listed(place.store) else "none", 40, zombie)
            # Slow PUTs, so that it freezes with bodies half sent.
            proxy.bytes_per_s = 60_000.0
            wait_for("a PUT that is under way", lambda: None if put_under_way(proxy) else "none", 30, zombie)
            zombie.signal(signal.SIGSTOP)
            proxy.heal()
            with place.sink(config) as heir:
                reached = capture.settle()
                place.until_reached(reached, heir)
                moment = remember(capture)
                zombie.signal(signal.SIGCONT)
                wait_for("the zombie's way back into the group", zombie.ready, 60, zombie)
                ends = capture.settle()
                place.until_reached(ends, heir)
                heir.terminate()
                assert heir.wait(30) == 0, heir.said[-3000:]
            ends = capture.settle()
            place.until_reached(ends, zombie)
            zombie.terminate()
            assert zombie.wait(30) == 0, zombie.said[-3000:]
    place.verify(ends)
    restore_equals(capture, place, moment)


def put_under_way(proxy: FaultProxy) -> bool:
    count = len(proxy.seen)
    return any(method == "PUT" for method, _ in proxy.seen[count - 4 : count])


def test_members_that_join_and_leave_while_uploads_are_slow_lose_and_repeat_nothing(
    capture: Capture, place: Place
) -> None:
    with FaultProxy(place.server.url) as proxy:
        config = place.config(endpoint_url=proxy.url)
        with place.sink(config) as first, Traffic(capture.dsn, seed=22, rows=10, pause_s=0.4):
            wait_for("the first segments", lambda: None if chains.listed(place.store) else "none", 40, first)
            proxy.delay_s = 0.4
            for _ in range(2):
                with place.sink(config) as second:
                    wait_for("the second member's readiness", second.ready, 60, second)
                    wait_for(
                        "its first work", lambda: None if '"stored"' in second.said else "none", 60, second
                    )
                    second.terminate()
                    assert second.wait(40) == 0, second.said[-3000:]
            with place.sink(config) as third:
                wait_for("the third member's readiness", third.ready, 60, third)
                moment = remember(capture)
                first.terminate()
                assert first.wait(40) == 0, first.said[-3000:]
                ends = capture.settle()
                place.until_reached(ends, third)
    verdict = place.verify(ends)
    assert verdict.overlaps == 0, str(verdict)
    restore_equals(capture, place, moment)
