"""What a destination already holds around a letter's range."""

from __future__ import annotations

from replicator.segment.container import Header
from replicator.segment.name import Chain, SegmentName
from replicator.segment.pieces import Piece, resolve
from replicator.segment.read import TruncatedError, open_header
from replicator.storage import ObjectStore

_FIRST_READ = 64 * 2**10


def pieces_of(store: ObjectStore, chain: Chain, first: int, next_: int) -> list[Piece]:
    """The pieces that the destination holds of the range, cut to it. `StorageError` as the store has it."""
    names = (
        (name, info.size)
        for info in store.list(chain.prefix())
        if (name := SegmentName.parse(info.key)) and name.first < next_ and name.next > first
    )
    return [
        Piece(piece.name, piece.size, max(piece.start, first), min(piece.stop, next_))
        for piece in resolve(chain, names).pieces
        if piece.start < next_ and piece.stop > first
    ]


def holes(store: ObjectStore, chain: Chain, first: int, next_: int) -> list[tuple[int, int]]:
    """The ranges within `[first, next_)` that are in no segment."""
    missing: list[tuple[int, int]] = []
    at = first
    for piece in pieces_of(store, chain, first, next_):
        if piece.start > at:
            missing.append((at, piece.start))
        at = piece.stop
    return [*missing, (at, next_)] if at < next_ else missing


def lacking(store: ObjectStore, chain: Chain, first: int, next_: int) -> list[tuple[int, int]]:
    """The ranges within `[first, next_)` that are in no segment, or left out of the one that counts there."""
    missing = holes(store, chain, first, next_)
    for piece in pieces_of(store, chain, first, next_):
        for gap in header(store, piece).left_out:
            begin, end = max(gap.first, piece.start), min(gap.next, piece.stop)
            if begin < end:
                missing.append((begin, end))
    return sorted(missing)


def header(store: ObjectStore, piece: Piece) -> Header:
    """What the piece's segment says of itself."""
    size = _FIRST_READ
    while True:
        data = store.get(piece.name.key(), start=0, end=size)
        try:
            return open_header(data, piece.name.key()).header
        except TruncatedError:
            if size >= piece.size:
                raise
            size *= 4
