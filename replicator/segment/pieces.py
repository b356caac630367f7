"""Which part of which segment a reader of a chain takes: each offset once, in order, and what is missing.

Overlaps, which a crashed sink leaves, are resolved by offset (docs/format.md, "How to read a chain"). Of two
segments of which one lies within the other's range, the inner one counts there: that is how what a segment
left out is filled in later.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from replicator.segment.name import Chain, SegmentName
from replicator.segment.ranges import Ranges


@dataclass(frozen=True, slots=True)
class Piece:
    """The part `[start, stop)` of one segment that a reader takes: all of it but where segments overlap."""

    name: SegmentName
    size: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets `[first, next)` that no segment of the chain holds."""

    chain: Chain
    first: int
    next: int

    def __str__(self) -> str:
        return f"{self.chain} offsets {self.first} to {self.next - 1}"


@dataclass(frozen=True, slots=True)
class ChainPieces:
    """One chain: its pieces in offset order without overlap, and its holes (one from 0 on included)."""

    chain: Chain
    pieces: tuple[Piece, ...]
    holes: tuple[Hole, ...]
    begin: int = 0
    """What lies below isn't looked at: a base holds what counts of it."""

    @property
    def next(self) -> int:
        """The offset after the last one that is held."""
        return self.pieces[-1].stop if self.pieces else self.begin

    def since(self, begin: int) -> ChainPieces:
        """The same chain from that offset on; it has a hole there unless a piece holds it."""
        pieces = tuple(
            replace(piece, start=max(piece.start, begin)) for piece in self.pieces if piece.stop > begin
        )
        holes = tuple(replace(hole, first=max(hole.first, begin)) for hole in self.holes if hole.next > begin)
        return ChainPieces(self.chain, pieces, holes, begin)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(piece.size for piece in self.pieces)

    def first_hole_before(self, offset: int) -> Hole | None:
        """The first hole that begins below the offset."""
        return next((hole for hole in self.holes if hole.first < offset), None)


def resolve(chain: Chain, held: Iterable[tuple[SegmentName, int]]) -> ChainPieces:
    """The pieces of a chain's segments, each given with its size in bytes, in any order.

    Greedy from offset 0: of the segments that hold the next offset, the one that reaches furthest; then what
    lies within one of those.
    """
    segments = sorted(held, key=lambda item: (item[0].first, -item[0].next, item[0].sha256_16))
    pieces: list[Piece] = []
    holes: list[Hole] = []
    at, index = 0, 0
    while index < len(segments):
        best: tuple[SegmentName, int] | None = None
        while index < len(segments) and segments[index][0].first <= at:
            if best is None or segments[index][0].next > best[0].next:
                best = segments[index]
            index += 1
        if best is not None and best[0].next > at:
            pieces.append(Piece(best[0], best[1], at, best[0].next))
            at = best[0].next
        elif best is None:
            holes.append(Hole(chain, at, segments[index][0].first))
            at = segments[index][0].first
    return ChainPieces(chain, tuple(_filled(pieces, segments)), tuple(holes))


def union(chain: Chain, sources: Sequence[Iterable[tuple[SegmentName, int]]]) -> ChainPieces:
    """The pieces of one chain in several destinations: all of the first one's, and of the others what fills
    the holes of those before them.
    """
    if len(sources) == 1:
        return resolve(chain, sources[0])
    pieces: list[Piece] = []
    covered = Ranges()
    for held in sources:
        mine = resolve(chain, held).pieces
        for piece in mine:
            lacking = Ranges.of([(piece.start, piece.stop)]) - covered
            pieces += [Piece(piece.name, piece.size, first, stop) for first, stop in lacking]
        covered |= Ranges.of((piece.start, piece.stop) for piece in mine)
    pieces.sort(key=lambda piece: piece.start)
    end = pieces[-1].stop if pieces else 0
    holes = [Hole(chain, first, stop) for first, stop in Ranges.of([(0, end)]) - covered]
    return ChainPieces(chain, tuple(pieces), tuple(holes))


def _filled(pieces: list[Piece], segments: list[tuple[SegmentName, int]]) -> list[Piece]:
    """The pieces with the segments that lie within one of theirs put in their place, the narrowest last."""
    if len(pieces) == len(segments):
        return pieces
    chosen = {piece.name for piece in pieces}
    inner = [each for each in segments if each[0] not in chosen and each[0].first < each[0].next]
    inner.sort(key=lambda each: each[0].first - each[0].next)
    for name, size in inner:
        begin = bisect_right(pieces, name.first, key=lambda piece: piece.stop)
        end = bisect_left(pieces, name.next, begin, key=lambda piece: piece.start)
        filled: list[Piece] = []
        for piece in pieces[begin:end]:
            first, last = max(piece.start, name.first), min(piece.stop, name.next)
            if not _lies_within(name, piece.name):
                filled.append(piece)
                continue
            filled += [
                part
                for part in (
                    Piece(piece.name, piece.size, piece.start, first),
                    Piece(name, size, first, last),
                    Piece(piece.name, piece.size, last, piece.stop),
                )
                if part.start < part.stop
            ]
        pieces[begin:end] = filled
    return pieces


def _lies_within(inner: SegmentName, outer: SegmentName) -> bool:
    return (
        outer.first <= inner.first
        and inner.next <= outer.next
        and (outer.first, outer.next) != (inner.first, inner.next)
    )
