"""Where the cut falls in each partition: a cut is a vector of offsets.

One connector task writes in commit order, so inside a partition everything before some offset belongs to the
cut and everything from there on doesn't. The segment in which that happens is found by bisection over first
records; only it is looked into. That the order really held is proven twice: inside that segment here, and for
all rows by counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from backports.zstd import ZstdError, decompress

from replicator.avro import values
from replicator.avro.program import Path, UnreadableSchemaError
from replicator.avro.reader import Columns, Reader
from replicator.debezium import envelope
from replicator.debezium.transactions import SNAPSHOT, Commits
from replicator.errors import IntegrityError
from replicator.restore.errors import HoleError
from replicator.restore.segments.catalog import ChainPieces, Hole, Piece
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.frames import frames
from replicator.restore.segments.records import LSN, OFFSET, OP, XID, Scanner
from replicator.restore.segments.sources import SegmentUnusableError
from replicator.segment.read import TruncatedError, blocks, open_header

_WANTED = (OFFSET, OP, XID, LSN)


@dataclass(frozen=True, slots=True)
class Edge:
    """Of one partition: the pieces to read, the first offset beyond the cut, and whether anything beyond is
    stored.

    Without anything beyond, records that belong to the cut may still be on their way; counting tells.
    """

    chain: ChainPieces
    pieces: tuple[Piece, ...]
    stop: int
    passed: bool
    highest: int = 0
    """The newest commit of which a record was seen; everything of earlier commits is stored, if anywhere."""


class First(NamedTuple):
    """What the first record of a piece says of its place in commit order."""

    offset: int
    op: str | None
    xid: int | None
    lsn: int | None


class Edges:
    """Finds the edge of each chain for one cut."""

    def __init__(self, fetcher: Fetcher, commits: Commits, last: int) -> None:
        self._fetcher = fetcher
        self._commits = commits
        self._last = last

    def plan(self, chain: ChainPieces) -> Edge:
        """The edge to within a segment, from first records alone: `stop` is where the last needed segment
        ends.

        `HoleError` when the chain lacks records in front of the cut.
        """
        low, high = 0, len(chain.pieces)
        while low < high:
            middle = (low + high) // 2
            if self._is_beyond(chain, middle):
                high = middle
            else:
                low = middle + 1
        needed = chain.pieces[:low]
        stop = needed[-1].stop if needed else 0
        hole = chain.first_hole_before(max(stop, 1) if low == len(chain.pieces) else chain.pieces[low].start)
        if hole is not None:
            raise HoleError(
                f"The destination has a hole: {hole} are in no segment, and the target needs what was in "
                "them.",
                next_step="restore from another destination, replay the range (it may still be in Kafka), or "
                "name a moment before the hole",
            )
        return Edge(chain, needed, stop, passed=self._has_record_from(chain, low))

    def last_before(self, chain: ChainPieces, hole: Hole) -> int:
        """The last commit for which the chain is whole in front of the hole, as `plan` sees it; -1 when not
        even the initial snapshot is.
        """
        before = [piece for piece in chain.pieces if piece.stop <= hole.first]
        for piece in reversed(before):
            record = self._first(piece)
            if record is not None:
                number = self._commit(record.op, record.xid, record.lsn)
                return len(self._commits) if number is None else number - 1
        return SNAPSHOT - 1

    def exact(self, edge: Edge) -> Edge:
        """The edge to the record: looks into the last segment that has records.

        `IntegrityError` when records of before and after the cut are interleaved there.
        """
        if not edge.pieces:
            return edge
        fetched = self._fetcher.fetch(edge.pieces[-1:])
        inside, outside, highest = -1, edge.stop, 0
        scanner = Scanner(OP, XID, LSN)
        for frame in frames(fetched):
            for chunk in scanner.chunks(frame):
                offsets, operations = chunk.values(OFFSET), chunk.operations()
                streamed = operations != ord(envelope.READ)
                if not (chunk.present(XID) & chunk.present(LSN))[streamed].all():
                    raise _nameless()
                numbers = self._commits.numbers(chunk.values(XID), chunk.values(LSN))
                beyond = streamed & ((numbers == 0) | (numbers > self._last))
                outside = min(outside, int(offsets[beyond].min(initial=outside)))
                inside = max(inside, int(offsets[~beyond].max(initial=inside)))
                highest = max(highest, int(numbers[streamed & ~beyond].max(initial=0)))
        if inside > outside:
            raise IntegrityError(
                f"{edge.chain.chain} isn't in commit order: offset {outside} is beyond the target and "
                f"offset {inside} "
                "isn't. A topic that something else writes to can't be restored from.",
                next_step="find out what else produces to the topic; other topics are not affected",
            )
        return Edge(edge.chain, edge.pieces, outside, edge.passed or outside < edge.stop, highest)

    def _commit(self, op: str | None, xid: int | None, lsn: int | None) -> int | None:
        """The number of the record's commit, 0 for the snapshot, None for one that hasn't ended."""
        if op == envelope.READ:
            return SNAPSHOT
        if xid is None or lsn is None:
            raise _nameless()
        return self._commits.number(xid, lsn)

    def _is_beyond(self, chain: ChainPieces, index: int) -> bool:
        """Whether the first record from this piece on is beyond the cut; when there is none, nothing is
        needed.
        """
        for piece in chain.pieces[index:]:
            record = self._first(piece)
            if record is not None:
                number = self._commit(record.op, record.xid, record.lsn)
                return number is None or number > self._last
        return True

    def _has_record_from(self, chain: ChainPieces, index: int) -> bool:
        return any(self._first(piece) is not None for piece in chain.pieces[index:])

    def _first(self, piece: Piece) -> First | None:
        known = self._fetcher.firsts
        if piece not in known:
            record = first_record(self._fetcher, piece)
            # What is no change event is refused by whoever reads the records.
            known[piece] = None if record is None or record.op is None else record
        first: First | None = known[piece]
        return first


def _nameless() -> IntegrityError:
    return IntegrityError(
        "A streamed event names no transaction; the connector runs without transaction metadata.",
        next_step="correct the connector: `replicator connect apply`",
    )


def first_record(fetcher: Fetcher, piece: Piece) -> First | None:
    """The piece's first record, decoded from as little of the segment as it takes; None when it has none."""
    for found in fetcher.through(piece, lambda each: _first_of(fetcher, each)):
        if found is not None:
            return found
    return None


def _first_of(fetcher: Fetcher, piece: Piece) -> First | None:
    for beginning in fetcher.beginnings(piece):
        try:
            return _first_in(piece, beginning, whole=len(beginning) >= piece.size)
        except _MoreError:
            continue
        except (IntegrityError, UnreadableSchemaError):
            break
    # What can't be read is compared with its name, and another source's is taken where it isn't that.
    body = fetcher.whole(piece)
    try:
        return _first_in(piece, body, whole=True)
    except IntegrityError as error:
        raise SegmentUnusableError(error) from error


class _MoreError(Exception):
    """The first record isn't in this beginning of the segment."""


def _first_in(piece: Piece, beginning: bytes, *, whole: bool) -> First | None:
    key = piece.name.key()
    try:
        opened = open_header(beginning, key)
        if opened.header.count == 0:
            return None
        reader = Reader(opened.record_schema, _WANTED)
        for block in blocks(beginning, opened, key):
            data = np.frombuffer(decompress(block.data), np.uint8)
            columns = reader.read(data, [(0, len(data), block.count)], key)
            rows = np.flatnonzero(columns.values(OFFSET) >= piece.start)[:1]
            if len(rows):
                first = First(*(_value(columns, path, rows) for path in _WANTED))
                return first if first.offset < piece.stop else None
    except TruncatedError:
        if whole:
            raise
        raise _MoreError from None
    except KeyError as error:
        raise IntegrityError(
            f"{key} has records without the field {error}: no change events.",
            next_step="find out what else writes to the topic",
        ) from None
    except ZstdError as error:
        raise IntegrityError(
            f"{key} can't be read: {error}. It was truncated or altered.",
            next_step="restore from another destination that has this range; keep this one as evidence",
        ) from error
    if not whole:
        raise _MoreError
    return None


def _value(columns: Columns, path: Path, rows: Any) -> Any:
    """The one row's value; None also where the schema has no such field."""
    try:
        return values.of(columns, path, rows)[0]
    except KeyError:
        return None
