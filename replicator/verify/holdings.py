"""What a destination holds, from its listing alone, and what that listing already shows to be wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from replicator.segment.name import CHANGES, Chain, SegmentName
from replicator.segment.pieces import ChainPieces, Piece, resolve
from replicator.segment.ranges import Ranges
from replicator.storage.port import ObjectInfo
from replicator.verify.findings import Finding, Kind

ROOT = "v1/"
MARK = "v1/installation.json"
DAMAGED = "v1/damaged/"
"""Where repair keeps what it replaced."""
_KNOWN = re.compile(r"v1/(installation\.json|(schemas|probe|points|drills|damaged|bases|folded|assets)/.+)")


@dataclass(frozen=True, slots=True)
class Held:
    """One segment as the listing shows it; `size` in bytes."""

    name: SegmentName
    size: int
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """All segments by chain, in the order of their offsets, and the other objects below `v1/`."""

    segments: dict[Chain, tuple[Held, ...]]
    others: tuple[str, ...]
    unknown: tuple[str, ...]
    folded: tuple[Held, ...] = ()
    """The segments of bases."""

    @property
    def all(self) -> tuple[Held, ...]:
        """Every segment, chain by chain."""
        return tuple(held for chain in self.segments.values() for held in chain)

    def ranges(self, chain: Chain) -> Ranges:
        """The offsets that segments of the chain cover."""
        return Ranges.of((held.name.first, held.name.next) for held in self.segments.get(chain, ()))

    def without(self, names: Set[SegmentName]) -> Holdings:
        """The same but for these segments."""
        kept = {
            chain: tuple(each for each in held if each.name not in names)
            for chain, held in self.segments.items()
        }
        return Holdings(
            {chain: held for chain, held in kept.items() if held}, self.others, self.unknown, self.folded
        )

    def pieces(self, chain: Chain) -> ChainPieces:
        """The chain as a reader takes it."""
        return resolve(chain, ((held.name, held.size) for held in self.segments.get(chain, ())))

    def instead_of(self, piece: Piece) -> tuple[Piece, ...]:
        """What else gives a piece's offsets, all of them: its segment was rolled up into a larger one, say.
        Empty where nothing does.
        """
        chain = piece.name.chain
        near = [
            (held.name, held.size)
            for held in self.segments.get(chain, ())
            if held.name != piece.name and held.name.first < piece.stop and piece.start < held.name.next
        ]
        found = tuple(
            Piece(each.name, each.size, max(each.start, piece.start), min(each.stop, piece.stop))
            for each in resolve(chain, near).pieces
            if each.start < piece.stop and piece.start < each.stop
        )
        whole = Ranges.of((each.start, each.stop) for each in found) == Ranges.of([(piece.start, piece.stop)])
        return found if whole else ()

    @property
    def overlapping(self) -> int:
        """How many offsets more than one segment covers; harmless."""
        covered = sum(held.name.next - held.name.first for held in self.all)
        return covered - sum(self.ranges(chain).count for chain in self.segments)


def read(listing: Iterable[ObjectInfo]) -> Holdings:
    """The holdings of a listing of `v1/`, in any order."""
    segments: dict[Chain, list[Held]] = defaultdict(list)
    others, unknown, folded = [], [], []
    for info in listing:
        name = SegmentName.parse(info.key)
        if name is not None and name.first <= name.next:
            segments[name.chain].append(Held(name, info.size, info.storage_class))
        elif (of_base := SegmentName.parse_folded(info.key)) is not None:
            folded.append(Held(of_base, info.size, info.storage_class))
        elif not info.key.startswith(CHANGES) and _KNOWN.fullmatch(info.key):
            others.append(info.key)
        else:
            unknown.append(info.key)
    ordered = {
        chain: tuple(sorted(segments[chain], key=lambda held: (held.name.first, -held.name.next)))
        for chain in sorted(segments)
    }
    return Holdings(ordered, tuple(others), tuple(unknown), tuple(folded))


def lacking(
    holdings: Holdings,
    expected: Mapping[Chain, int] | None = None,
    letters: Mapping[Chain, Ranges] | None = None,
    begins: Mapping[Chain, int] | None = None,
) -> list[Finding]:
    """The holes of all chains.

    `expected` gives offsets up to which a chain was committed: what lies below and isn't held is missing,
    also behind the last segment. `letters` gives the ranges that dead letters stand for, `begins` where a
    chain begins because a base stands for what was before.
    """
    expected = expected or {}
    found = []
    for chain in sorted({*holdings.segments, *expected}):
        held = holdings.ranges(chain)
        begin = (begins or {}).get(chain, 0)
        holes = held.gaps - Ranges.of([(0, begin)])
        if held and held.spans[0].first > begin > 0:
            holes |= Ranges.of([(begin, held.spans[0].first)])
        end = max(held.spans[-1].next if held else 0, begin)
        behind = Ranges.of([(end, expected.get(chain, 0))])
        known = (letters or {}).get(chain, Ranges())
        for lost, kind, why in (
            (holes - known, Kind.MISSING, "no segment holds them, and the chain goes on behind them"),
            (behind - known, Kind.MISSING, "they were committed as durable, and no segment holds them"),
            ((holes | behind) & known, Kind.DEAD_LETTER, "a dead letter stands for them"),
        ):
            found += [Finding(kind, why, None, chain, first, stop) for first, stop in lost]
    return found


def strange(holdings: Holdings) -> list[Finding]:
    """The objects that no part of this program writes."""
    return [
        Finding(Kind.UNKNOWN, "not written by this program; readers ignore it", key)
        for key in holdings.unknown
    ]
