"""The campaign in small: the large one is `make campaign-kill`."""

from __future__ import annotations

from pathlib import Path

from deploy.local.endpoints import Endpoints
from tests.faults.campaign import run


def test_sinks_that_die_at_random_moments_lose_nothing_and_invent_nothing(
    stack: Endpoints, tmp_path: Path
) -> None:
    outcome = run(stack, tmp_path / "capture", changes=30_000, kills=4, instances=2, seed=7)
    assert outcome.exact, str(outcome)
    assert outcome.kills == 4
    assert outcome.records > outcome.changes >= 30_000
    assert outcome.rows_compared > 1000
