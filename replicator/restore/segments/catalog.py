"""What destinations hold, from the listings of names alone: a chain of segments per topic-partition.

Nothing here reads an object. Overlaps, which a crashed sink leaves, are resolved by offset; a hole is kept as
a fact and refused only where a restore needs what is in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from replicator.errors import IntegrityError, RefusedError
from replicator.segment.name import Chain, SegmentName
from replicator.segment.pieces import ChainPieces, Hole, Piece, union
from replicator.storage.port import ObjectInfo

__all__ = ["Catalog", "ChainPieces", "Hole", "Piece", "read"]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All chains of the destinations, by topic."""

    chains: dict[str, tuple[ChainPieces, ...]]
    unknown: tuple[str, ...]
    """Keys below the prefix that are no segment's name; told, never read."""

    def topic(self, topic: str) -> tuple[ChainPieces, ...]:
        """The chains of a topic by partition; empty when nothing of it is stored.

        `RefusedError` when the topic exists in two incarnations: their offsets can't be put in one order.
        """
        chains = self.chains.get(topic, ())
        ids = sorted({chain.chain.topic_id for chain in chains})
        if len(ids) > 1:
            raise RefusedError(
                f"The topic {topic} was made anew: segments of {len(ids)} incarnations are stored "
                f"({', '.join(ids)}). Restoring across a recreated topic isn't supported yet.",
                next_step="restore from a destination that began after it was recreated",
            )
        return chains

    def since(self, begins: Mapping[Chain, int]) -> Catalog:
        """The same, each of these chains from the given offset on; one that isn't stored is empty there."""
        chains = {topic: list(found) for topic, found in self.chains.items()}
        for chain, begin in begins.items():
            held = chains.setdefault(chain.topic, [])
            at = next((i for i, each in enumerate(held) if each.chain == chain), None)
            if at is None:
                held.append(ChainPieces(chain, (), (), begin))
            else:
                held[at] = held[at].since(begin)
        return Catalog(
            {topic: tuple(sorted(found, key=_place)) for topic, found in chains.items()}, self.unknown
        )

    def __iter__(self) -> Iterator[ChainPieces]:
        for chains in self.chains.values():
            yield from chains


def _place(chain: ChainPieces) -> Chain:
    return chain.chain


@dataclass(frozen=True, slots=True)
class Listing:
    """What one destination lists of `v1/changes/`, read once: each chain's segments with their sizes."""

    segments: dict[Chain, list[tuple[SegmentName, int]]]
    unknown: tuple[str, ...]
    """Keys that are no segment's name."""


def listing(found: Iterable[ObjectInfo]) -> Listing:
    """A listing, in any order. `IntegrityError` for a name that can't be."""
    infos = list(found)
    segments: dict[Chain, list[tuple[SegmentName, int]]] = {}
    unknown = []
    place: tuple[str, str, int] | None = None
    of_chain: list[tuple[SegmentName, int]] = []
    for info, name in zip(infos, SegmentName.parse_listed(info.key for info in infos), strict=True):
        if name is None:
            unknown.append(info.key)
            continue
        if name.next < name.first:
            raise IntegrityError(
                f"{name.key()} names a backward range; no sink writes such a name.",
                next_step="find out who put it there; deleting it loses nothing",
            )
        if place != (name.topic, name.topic_id, name.partition):
            place = (name.topic, name.topic_id, name.partition)
            of_chain = segments.setdefault(name.chain, [])
        of_chain.append((name, info.size))
    return Listing(segments, tuple(unknown))


def read(*listings: Iterable[ObjectInfo]) -> Catalog:
    """The catalog of listings of `v1/changes/`, each in any order; of several destinations the best first.

    `IntegrityError` for a name that can't be.
    """
    return together(*map(listing, listings))


def together(*listings: Listing) -> Catalog:
    """The catalog of several destinations' listings, the best first."""
    chains: dict[str, list[ChainPieces]] = defaultdict(list)
    for chain in sorted({chain for each in listings for chain in each.segments}):
        held = [each.segments.get(chain, []) for each in listings]
        chains[chain.topic].append(union(chain, held))
    unknown = tuple(key for each in listings for key in each.unknown)
    return Catalog({topic: tuple(found) for topic, found in chains.items()}, unknown)
