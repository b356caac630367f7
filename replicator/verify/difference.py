"""How two destinations differ: which ranges only one of them holds, and which records aren't the same.

Lanes are independent, so two destinations cut the same records differently. Equal names are equal bytes, by
their hash; what is cut differently is compared as a stream of records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from replicator.errors import IntegrityError
from replicator.segment.name import Chain
from replicator.segment.ranges import Ranges, Span
from replicator.storage import ObjectStore
from replicator.verify import stream
from replicator.verify.holdings import Holdings
from replicator.verify.stream import Chunk


class Unlike(Enum):
    """In what two destinations differ over a range."""

    ONLY_IN_FIRST = "only_in_first"
    ONLY_IN_SECOND = "only_in_second"
    RECORDS = "records"
    """Both hold the range; records in it are different, or only one of them has them."""
    SCHEMAS = "schemas"
    """The same bytes, to be read with different schemas."""
    UNREADABLE = "unreadable"
    """One of the two can't be read there; `verify --deep` says more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Offsets `[first, next)` of a chain, and how the two differ there."""

    unlike: Unlike
    chain: Chain
    first: int
    next: int
    detail: str = ""

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        words = self.unlike.value.replace("_", " ")
        return f"{words}: {self.chain} offsets {self.first} to {self.next - 1}{detail}"

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "unlike": self.unlike.value,
            "topic": self.chain.topic,
            "topic_id": self.chain.topic_id,
            "partition": self.chain.partition,
            "first": self.first,
            "next": self.next,
            "detail": self.detail,
        }


@dataclass(slots=True)
class ChainDifference:
    """One chain in two destinations. Counts are of offsets."""

    chain: Chain
    same_name: int = 0
    """Covered by segments that both have under one name."""
    cut_differently: Ranges = field(default_factory=Ranges)
    """Held by both in different segments: only reading them tells whether they are the same."""
    ahead: tuple[Span, ...] = ()
    """What one holds behind the other's end: lag, unless the other stopped."""
    behind: int = 0
    """Which of the two lacks `ahead`: 1 or 2; 0 for none."""
    differences: list[Difference] = field(default_factory=list)


def by_ranges(first: Holdings, second: Holdings) -> list[ChainDifference]:
    """What the listings tell, chain by chain; reads nothing.

    A chain that one of them lacks altogether is a difference; an end that isn't reached yet is `ahead`.
    """
    found = []
    for chain in sorted({*first.segments, *second.segments}):
        ours, theirs = first.ranges(chain), second.ranges(chain)
        one = ChainDifference(chain)
        names = {held.name for held in first.segments.get(chain, ())} & {
            held.name for held in second.segments.get(chain, ())
        }
        same = Ranges.of((name.first, name.next) for name in names)
        one.same_name = same.count
        one.cut_differently = (ours & theirs) - same
        for number, unlike, only, other in (
            (2, Unlike.ONLY_IN_FIRST, ours - theirs, theirs),
            (1, Unlike.ONLY_IN_SECOND, theirs - ours, ours),
        ):
            end = other.spans[-1].next if other else None
            for span in only:
                if end is not None and span.first >= end:
                    one.ahead, one.behind = (*one.ahead, span), number
                else:
                    one.differences.append(Difference(unlike, chain, span.first, span.next))
        found.append(one)
    return found


def by_records(
    stores: tuple[ObjectStore, ObjectStore], holdings: tuple[Holdings, Holdings], chain: Chain, span: Span
) -> tuple[list[Difference], int]:
    """The differences between the records of a range that both hold, and how many bytes were compared.

    Bytes are counted before compression. `StorageError` when a destination doesn't answer.
    """
    one, other = (
        stream.chunks(store, held.pieces(chain).pieces, span, held.instead_of)
        for store, held in zip(stores, holdings, strict=True)
    )
    comparison = _Comparison(chain, span)
    try:
        comparison.run(one, other)
    except IntegrityError as error:
        comparison.differences.append(
            Difference(Unlike.UNREADABLE, chain, comparison.reached, span.next, error.message)
        )
    return comparison.differences, comparison.size


class _Comparison:
    """Two streams of one range side by side."""

    def __init__(self, chain: Chain, span: Span) -> None:
        self._chain = chain
        self._span = span
        self._schemas: tuple[str, str] | None = None
        self.differences: list[Difference] = []
        self.size = 0
        self.reached = span.first

    def run(self, ours: Iterator[Chunk], theirs: Iterator[Chunk]) -> None:
        """Bytes against bytes, up to the first that differs; from there on record by record."""
        a, b = next(ours, None), next(theirs, None)
        at_a = at_b = 0
        while a is not None and b is not None:
            self._check_schemas(a, b)
            length = min(len(a.data) - at_a, len(b.data) - at_b)
            if memoryview(a.data)[at_a : at_a + length] != memoryview(b.data)[at_b : at_b + length]:
                self._by_records(_rest(a, at_a, ours), _rest(b, at_b, theirs))
                return
            self.size += length
            at_a, at_b = at_a + length, at_b + length
            if at_a == len(a.data):
                a, at_a = next(ours, None), 0
            if at_b == len(b.data):
                b, at_b = next(theirs, None), 0
            if at_a == 0 and a is not None:
                self.reached = a.first
        # One of them ended between two records, or else inside one that the other has whole.
        if a is not None or b is not None:
            left = _rest(a, at_a, ours) if a is not None else iter(())
            right = _rest(b, at_b, theirs) if b is not None else iter(())
            self._by_records(left, right)

    def _check_schemas(self, a: Chunk, b: Chunk) -> None:
        # Only texts of one id are compared: null values may stand in a segment of either neighbouring schema.
        texts = dict(_schemas(a))
        unlike = [name for name, text in _schemas(b) if texts.get(name, text) != text]
        schemas = (a.record_schema, b.record_schema)
        if unlike and schemas != self._schemas:
            self._schemas = schemas
            first, stop = max(a.header.first, b.header.first), min(a.header.next, b.header.next)
            detail = f"the schema {unlike[0]} has another text"
            self.differences.append(Difference(Unlike.SCHEMAS, self._chain, first, stop, detail))

    def _by_records(self, ours: Iterator[tuple[int, bytes]], theirs: Iterator[tuple[int, bytes]]) -> None:
        """Both in offset order; differences without an equal record between them become one."""
        run: tuple[str, int, int] | None = None
        for offset, what in _merged(ours, theirs):
            self.reached = offset
            if run is not None and what == run[0]:
                run = (what, run[1], offset + 1)
                continue
            self._note(run)
            run = (what, offset, offset + 1) if what else None
        self._note(run)

    def _note(self, run: tuple[str, int, int] | None) -> None:
        if run is not None:
            self.differences.append(Difference(Unlike.RECORDS, self._chain, run[1], run[2], run[0]))


def _schemas(chunk: Chunk) -> tuple[tuple[str, str], ...]:
    value = chunk.header.value_schema
    return chunk.header.key_schemas if value is None else (*chunk.header.key_schemas, value)


def _merged(
    ours: Iterator[tuple[int, bytes]], theirs: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, str]]:
    """Each offset with what is different there in words; empty when both have the same record."""
    a, b = next(ours, None), next(theirs, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None
            yield a[0], "records that only the first has"
            a = next(ours, None)
        elif a is None or b[0] < a[0]:
            yield b[0], "records that only the second has"
            b = next(theirs, None)
        else:
            yield a[0], "" if a[1] == b[1] else "key, time, headers or value differ"
            a, b = next(ours, None), next(theirs, None)


def _rest(chunk: Chunk, at: int, more: Iterator[Chunk]) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each record, from the one that holds the byte `at` of the chunk on."""
    for offset, begin, end in chunk.records():
        if end > at:
            yield offset, chunk.data[begin:end]
    for following in more:
        for offset, begin, end in following.records():
            yield offset, following.data[begin:end]


def spans_to_read(differences: Sequence[ChainDifference]) -> list[tuple[Chain, Span]]:
    """What has to be read to know whether the two hold the same records."""
    return [(one.chain, span) for one in differences for span in one.cut_differently]
