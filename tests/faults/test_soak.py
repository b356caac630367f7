"""The soak in small: the long one is `make soak`."""

from __future__ import annotations

from pathlib import Path

from deploy.local.endpoints import Endpoints
from tests.faults.soak import run


def test_processes_that_die_beside_a_flaky_store_leave_both_destinations_whole(
    stack: Endpoints, tmp_path: Path
) -> None:
    outcome = run(stack, tmp_path / "capture", seconds=45, seed=11)
    assert outcome.exact, str(outcome)
    assert sum(outcome.kills.values()) >= 4
    assert outcome.changes > 500 and outcome.rows_compared > 1000
