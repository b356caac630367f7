"""A part of the campaign of concurrent transfers (`make campaign-invariant`)."""

from __future__ import annotations

from pathlib import Path

from deploy.local.endpoints import Endpoints
from tests.histories.invariant import run


def test_concurrent_transfers_come_to_nothing_at_every_moment(stack: Endpoints, tmp_path: Path) -> None:
    outcome = run(stack, tmp_path, seed=1, moments=25, sessions=5, each=40)
    assert not outcome.wrong, outcome.wrong
    assert outcome.moments == 25
    assert outcome.transfers > 100
