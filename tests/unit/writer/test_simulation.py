"""Ten thousand random histories of one lane: every offset ends durable or in a letter, commits never pass."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.unit.writer.simulated import Simulation

HISTORIES = 10_000
PARTS = 10


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A hundred thousand simulated failures would each be a line."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_offset_ends_durable_or_in_a_letter_whatever_fails(part: int) -> None:
    refused = escaped = 0
    for seed in range(part, HISTORIES, PARTS):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
        ranges = [
            pair for pair in simulation.letters if pair[1] - pair[0] > 1 or pair[0] not in simulation.poison
        ]
        refused += len(ranges)
        escaped += simulation.weather.well_at > 600
    assert refused, "no segment was ever refused: the histories are too tame"
    assert escaped, "no outage was ever long: the histories are too tame"
