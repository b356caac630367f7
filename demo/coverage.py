"""Whether a standby went on where the failed cloud ended: by what lies in its bucket, not by what it says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from replicator.segment.name import Place, SegmentName
from replicator.segment.ranges import Ranges


def gap(ended: Mapping[Place, int], reached: Mapping[Place, int], stored: Iterable[SegmentName]) -> int:
    """How many offsets from where the failed one `ended` to what the standby `reached` no segment holds.

    Where the failed one had committed nothing, everything counts.
    """
    held: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for name in stored:
        held[name.topic, name.partition].append((name.first, name.next))
    return sum(
        _size(Ranges.of([(ended.get(place, 0), upto)]) - Ranges.of(held[place]))
        for place, upto in reached.items()
    )


def _size(ranges: Ranges) -> int:
    return sum(span.next - span.first for span in ranges.spans)
