"""A range from another destination: whole segments for a hole, a segment of its own for what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from replicator.errors import IntegrityError
from replicator.repair.missing import copy_missing
from replicator.replay import stored
from replicator.segment import container, varint
from replicator.segment.name import Chain
from replicator.segment.ranges import Ranges, Span
from replicator.storage import ObjectStore
from replicator.verify import stream


def whole(source: ObjectStore, target: ObjectStore, chain: Chain, missing: Ranges) -> None:
    """Copy the segments that hold these offsets under their own names; `IntegrityError` if the source's are
    damaged."""
    copied = copy_missing(source, target, {chain: missing})
    if not copied.complete:
        raise IntegrityError(
            f"Not all of {chain} could be copied: {len(copied.lost)} ranges are damaged there as well.",
            next_step="`replicator verify --deep` names what is damaged in that destination",
        )


def cut(source: ObjectStore, chain: Chain, first: int, next_: int) -> Iterator[container.Segment]:
    """Segments of exactly `[first, next_)`, of which the source must lack nothing.

    They are narrower than what they were cut from, and so count where another segment left the records out.
    """
    for piece in stored.pieces_of(source, chain, first, next_):
        blocks: list[tuple[int, bytes]] = []
        count, times = 0, []
        header: container.Header | None = None
        for chunk in stream.chunks(source, [piece], Span(piece.start, piece.stop)):
            header = chunk.header
            places = list(chunk.records())
            count += len(places)
            for _, begin, _ in places:
                _, after = varint.read_long(chunk.data, begin)
                times.append(varint.read_long(chunk.data, after)[0])
            blocks.append((len(places), container.compress(chunk.data)))
        if header is None:
            header = replace(stored.header(source, piece), value_schema=None, key_schemas=())
        yield container.build(
            replace(
                header,
                first=piece.start,
                next=piece.stop,
                count=count,
                first_timestamp=min(times, default=None),
                last_timestamp=max(times, default=None),
                left_out=(),
                discarded=(),
            ),
            blocks,
        )
