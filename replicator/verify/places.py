"""Whether a segment's header and blocks are what its name says."""

from __future__ import annotations

from replicator.errors import IntegrityError
from replicator.segment import read
from replicator.segment.container import Header
from replicator.segment.name import SegmentName


def disagreement(name: SegmentName, header: Header) -> str | None:
    """How header and name differ, in words; None when they don't."""
    if (header.chain, header.first, header.next) == (name.chain, name.first, name.next):
        return None
    return f"it says of itself that it is {header.chain} {header.first}-{header.next}"


def check(name: SegmentName, body: bytes) -> Header:
    """The header of a whole segment whose frame is sound; nothing is decompressed.

    `IntegrityError` when header and name differ, a block isn't framed, or the blocks' counts don't add up.
    """
    opened = read.open_header(body, name.key())
    other = disagreement(name, opened.header)
    if other is not None:
        raise IntegrityError(f"{name.key()}: {other}.")
    count = sum(block.count for block in read.blocks(body, opened, name.key()))
    if count != opened.header.count:
        raise IntegrityError(f"{name.key()} holds {count} records and says {opened.header.count}.")
    return opened.header
