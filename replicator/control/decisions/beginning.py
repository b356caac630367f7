"""Where an activated standby begins in each topic-partition. Pure.

At the lowest offset that a failed group has committed: from there on a copy is missing. Never later, or there
would be a gap; earlier is harmless, because what is stored twice is resolved by offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from replicator.control.events.event import Beginning
from replicator.segment.name import Chain, Place
from replicator.writer.kafka.commits import Committed


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Offsets by partition, and the ranges `[first, next)` that are needed and that Kafka no longer has."""

    offsets: tuple[Beginning, ...]
    gone: tuple[tuple[Chain, int, int], ...]


def beginnings(
    chains: Iterable[Chain],
    groups: Sequence[Mapping[Place, Committed]],
    earliest: Mapping[Place, int],
) -> Beginnings:
    """Where to begin, `groups` being what the groups that are taken over from have committed.

    Without any group everything that Kafka has is taken. A commit of a topic's former incarnation counts as
    none.
    """
    offsets, gone = [], []
    for chain in sorted(chains):
        place = chain.place
        needed = min((_committed(group.get(place), chain) for group in groups), default=0)
        kept = earliest.get(place, 0)
        if needed < kept and groups:
            gone.append((chain, needed, kept))
        offsets.append(Beginning(chain.topic, chain.topic_id, chain.partition, max(needed, kept)))
    return Beginnings(tuple(offsets), tuple(gone))


def _committed(committed: Committed | None, chain: Chain) -> int:
    return committed.offset if committed is not None and committed.topic_id == chain.topic_id else 0
