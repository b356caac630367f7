"""A part of the campaign of random histories (`make campaign-histories`)."""

from __future__ import annotations

from pathlib import Path

from deploy.local.endpoints import Endpoints
from tests.histories.campaign import one


def test_a_random_history_is_restored_exactly_or_refused(stack: Endpoints, tmp_path: Path) -> None:
    outcome = one(stack, tmp_path, 1, 25)
    assert not outcome.differed, outcome.differed
    assert outcome.equal, outcome
