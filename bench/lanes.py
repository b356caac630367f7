"""From the delays of single rows to what one destination's outage changed for the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["before", "during", "catching up", "after"]
Delay = tuple[datetime, float]
"""When a row was committed, and how many seconds later it was durable."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nothing changed; `cpu` is shares of one core, by process, and of the machine."""

    kind: Kind
    begin: datetime
    end: datetime
    cpu: Mapping[str, float] = field(default_factory=dict)


def percentile(delays: Iterable[float], share: float) -> float | None:
    """The delay that this share of the rows stayed below; None of none."""
    ordered = sorted(delays)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3) if ordered else None


def within(spans: Iterable[Span], delays: Iterable[Delay], *kinds: Kind) -> list[float]:
    """The delays of the rows that were committed in a span of these kinds."""
    chosen = [span for span in spans if span.kind in kinds]
    return [s for commit, s in delays if any(span.begin <= commit < span.end for span in chosen)]


def summary(spans: Sequence[Span], delays: Mapping[str, Sequence[Delay]], dead: str) -> dict[str, Any]:
    """p99 of the healthy destinations' rows, in seconds, by kind of span, and by how many per cent the outage
    changed it. `calm_spread_percent` is how far the calm spans are apart by themselves: a smaller change than
    that says nothing."""
    healthy = [each for name, found in delays.items() if name != dead for each in found]
    calm = percentile(within(spans, healthy, "before", "after"), 0.99)
    each_calm = [
        found
        for span in spans
        if span.kind in ("before", "after")
        and (found := percentile(within([span], healthy, span.kind), 0.99)) is not None
    ]
    during = percentile(within(spans, healthy, "during"), 0.99)
    return {
        "p99_before": percentile(within(spans, healthy, "before"), 0.99),
        "p99_during": during,
        "p99_after": percentile(within(spans, healthy, "after"), 0.99),
        "change_percent": _change(calm, during),
        "calm_spread_percent": _change(min(each_calm), max(each_calm)) if each_calm else None,
        "p99_catching_up": percentile(within(spans, healthy, "catching up"), 0.99),
        "p50_calm": percentile(within(spans, healthy, "before", "after"), 0.5),
        "p50_during": percentile(within(spans, healthy, "during"), 0.5),
        "p99_by_lane": {
            name: {
                "calm": percentile(within(spans, found, "before", "after"), 0.99),
                "during": percentile(within(spans, found, "during"), 0.99),
            }
            for name, found in delays.items()
            if name != dead
        },
        "rows_calm": len(within(spans, healthy, "before", "after")),
        "rows_during": len(within(spans, healthy, "during")),
    }


def _change(old: float | None, new: float | None) -> float | None:
    return None if old is None or new is None else round((new / old - 1) * 100, 1)
