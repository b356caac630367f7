"""The first record of a piece, from as little of the segment as it takes."""

from __future__ import annotations

import pytest

from replicator.errors import IntegrityError
from replicator.restore.moment import edges
from replicator.segment.pieces import Piece
from replicator.segment.read import blocks, open_header
from tests.unit.verify.segments import segment

ONE = segment(10, 30, block=4)
"""Five blocks of four records each."""
PIECE = Piece(ONE.name, len(ONE.body), 10, 30)


def behind_block(number: int) -> int:
    """How many bytes of the segment a reader needs for so many of its blocks."""
    opened = open_header(ONE.body)
    at = opened.blocks_at
    for block in list(blocks(ONE.body, opened))[:number]:
        at += len(block.data) + 2 + (1 if len(block.data) > 63 else 0) + 16
    return at


def test_a_beginning_with_a_whole_block_is_enough() -> None:
    found = edges._first_in(PIECE, ONE.body[: behind_block(1)], whole=False)
    assert found is not None
    assert found.offset == 10
    with pytest.raises(edges._MoreError):
        edges._first_in(PIECE, ONE.body[: behind_block(1) - 1], whole=False)


def test_a_piece_in_the_middle_is_looked_for_in_later_blocks() -> None:
    later = Piece(ONE.name, len(ONE.body), 17, 30)
    with pytest.raises(edges._MoreError):
        edges._first_in(later, ONE.body[: behind_block(1)], whole=False)
    found = edges._first_in(later, ONE.body[: behind_block(2)], whole=False)
    assert found is not None
    assert found.offset == 17


def test_a_whole_segment_that_ends_inside_a_block_is_damaged() -> None:
    with pytest.raises(IntegrityError, match="ends inside"):
        edges._first_in(PIECE, ONE.body[: behind_block(0) + 3], whole=True)
