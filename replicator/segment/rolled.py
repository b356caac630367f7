"""Small segments as one large one, and the small ones made of it again, byte for byte.

Nothing is decoded: the blocks are copied as they are. What else a small segment has is a function of its
header, so a few numbers of each are kept, and whether it can be made again is tried before anything is
believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from replicator.errors import IntegrityError
from replicator.segment import container, read
from replicator.segment.container import Header, Rolled, Segment
from replicator.segment.name import SegmentName


@dataclass(frozen=True, slots=True)
class Member:
    """A small segment as it is stored."""

    name: SegmentName
    body: bytes


def fits(one: Header, other: Header) -> bool:
    """Whether segments with these headers may lie in one: they differ in range, count and times alone."""
    plain = [_bare(each) for each in (one, other)]
    return plain[0] == plain[1] and one.next == other.first and _is_plain(one) and _is_plain(other)


def _bare(header: Header) -> Header:
    return replace(header, first=0, next=0, count=0, first_timestamp=None, last_timestamp=None)


def _is_plain(header: Header) -> bool:
    """What leaves something out, or has nothing in it, is kept as it is: others tell its story."""
    return not (header.left_out or header.discarded or header.rolled) and header.count > 0


def make(members: Sequence[Member]) -> Segment:
    """One segment of these, which lie one behind the other.

    `ValueError` when they don't fit, or one of them couldn't be made of it again: another version wrote it.
    """
    headers: list[Header] = []
    blocks: list[tuple[int, bytes]] = []
    rolled: list[Rolled] = []
    for member in members:
        opened = read.open_header(member.body, member.name.key())
        own = [(block.count, bytes(block.data)) for block in read.blocks(member.body, opened)]
        header = opened.header
        if headers and not fits(headers[-1], header):
            raise ValueError(f"{member.name.key()} doesn't fit to what is before it")
        again = container.build(header, own)
        if again.body != member.body or again.name != member.name:
            raise ValueError(f"{member.name.key()} couldn't be made again")
        headers.append(header)
        blocks += own
        rolled.append(
            Rolled(
                header.first,
                header.next,
                header.count,
                header.first_timestamp,
                header.last_timestamp,
                len(own),
                len(member.body),
                again.sha256,
            )
        )
    firsts = [each.first_timestamp for each in headers if each.first_timestamp is not None]
    lasts = [each.last_timestamp for each in headers if each.last_timestamp is not None]
    whole = replace(
        headers[0],
        next=headers[-1].next,
        count=sum(each.count for each in headers),
        first_timestamp=min(firsts, default=None),
        last_timestamp=max(lasts, default=None),
        rolled=tuple(rolled),
    )
    return container.build(whole, blocks)


def members(body: bytes, where: str) -> Iterator[Segment]:
    """The segments that were rolled up into this one, made again; none where a sink wrote it.

    `IntegrityError` when one of them doesn't come out as it was.
    """
    opened = read.open_header(body, where)
    blocks = read.blocks(body, opened, where)
    for each in opened.header.rolled:
        own = [(block.count, bytes(block.data)) for _, block in zip(range(each.blocks), blocks, strict=False)]
        header = replace(
            opened.header,
            first=each.first,
            next=each.next,
            count=each.count,
            first_timestamp=each.first_timestamp,
            last_timestamp=each.last_timestamp,
            rolled=(),
        )
        made = container.build(header, own)
        if made.sha256 != each.sha256:
            raise IntegrityError(
                f"{where} doesn't give back the segment of offsets {each.first} to {each.next - 1} that was "
                "rolled up into it.",
                next_step="keep it and report this; other destinations are not affected",
            )
        yield made
