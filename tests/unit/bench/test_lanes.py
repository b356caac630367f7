"""What the outage of one cloud is said to have changed for the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bench.lanes import Delay, Kind, Span, percentile, summary

START = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
COURSE: tuple[Kind, ...] = ("before", "during", "catching up", "after")
SPANS = [
    Span(kind, START + timedelta(minutes=n), START + timedelta(minutes=n + 1))
    for n, kind in enumerate(COURSE)
]


def delays(**seconds: float) -> list[Delay]:
    """A row each 100 ms, as late as its span says."""
    return [
        (span.begin + timedelta(milliseconds=100 * n), seconds[span.kind.replace(" ", "_")])
        for span in SPANS
        for n in range(600)
    ]


def test_the_change_is_that_of_the_healthy_against_the_calm_before_and_after() -> None:
    well = delays(before=1.0, during=1.2, catching_up=5.0, after=1.0)
    told = summary(
        SPANS,
        {"s3": well, "gcs": well, "azure": delays(before=1, during=60, catching_up=30, after=1)},
        "azure",
    )
    assert (told["p99_before"], told["p99_during"], told["p99_after"]) == (1.0, 1.2, 1.0)
    assert told["change_percent"] == pytest.approx(20.0)
    assert told["p99_catching_up"] == 5.0
    assert told["rows_during"] == 1200
    assert set(told["p99_by_lane"]) == {"s3", "gcs"}


def test_a_single_lane_that_suffers_is_seen() -> None:
    well = delays(before=1.0, during=1.0, catching_up=1.0, after=1.0)
    ill = delays(before=1.0, during=3.0, catching_up=1.0, after=1.0)
    told = summary(SPANS, {"s3": well, "gcs": ill, "azure": []}, "azure")
    assert told["p99_by_lane"]["gcs"] == {"calm": 1.0, "during": 3.0}
    assert told["change_percent"] == pytest.approx(200.0)


def test_calm_spans_that_are_apart_by_themselves_are_told() -> None:
    told = summary(SPANS, {"s3": delays(before=1.0, during=1.2, catching_up=1.0, after=1.5)}, "azure")
    assert told["calm_spread_percent"] == pytest.approx(50.0)


def test_one_row_of_a_hundred_may_be_later_than_p99() -> None:
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([0.0] * 199 + [9.0], 0.99) == 0.0
    assert percentile([], 0.99) is None
