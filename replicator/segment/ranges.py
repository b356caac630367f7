"""Sets of offsets as ranges: what a chain covers, what it lacks, what two destinations share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """The offsets `[first, next)`."""

    first: int
    next: int

    def __str__(self) -> str:
        return f"{self.first} to {self.next - 1}"


@dataclass(frozen=True, slots=True)
class Ranges:
    """A set of offsets as the fewest spans that make it, in order. Build one with `Ranges.of`."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> Ranges:
        """The offsets that any of the spans `[first, next)` holds; a span without offsets adds nothing."""
        merged: list[Span] = []
        for first, stop in sorted(spans):
            if stop <= first:
                continue
            if merged and first <= merged[-1].next:
                merged[-1] = Span(merged[-1].first, max(merged[-1].next, stop))
            else:
                merged.append(Span(first, stop))
        return cls(tuple(merged))

    def __or__(self, other: Ranges) -> Ranges:
        return Ranges.of((*self.spans, *other.spans))

    def __and__(self, other: Ranges) -> Ranges:
        shared: list[Span] = []
        ours, theirs = iter(self.spans), iter(other.spans)
        mine, its = next(ours, None), next(theirs, None)
        while mine is not None and its is not None:
            first, stop = max(mine.first, its.first), min(mine.next, its.next)
            if first < stop:
                shared.append(Span(first, stop))
            if mine.next < its.next:
                mine = next(ours, None)
            else:
                its = next(theirs, None)
        return Ranges(tuple(shared))

    def __sub__(self, other: Ranges) -> Ranges:
        left: list[Span] = []
        taken = other.spans
        index = 0
        for first, stop in self.spans:
            at = first
            while index < len(taken) and taken[index].next <= at:
                index += 1
            look = index
            while look < len(taken) and taken[look].first < stop:
                if taken[look].first > at:
                    left.append(Span(at, taken[look].first))
                at = max(at, taken[look].next)
                look += 1
            if at < stop:
                left.append(Span(at, stop))
        return Ranges(tuple(left))

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __contains__(self, offset: object) -> bool:
        return isinstance(offset, int) and any(span.first <= offset < span.next for span in self.spans)

    @property
    def count(self) -> int:
        """How many offsets."""
        return sum(span.next - span.first for span in self.spans)

    @property
    def gaps(self) -> Ranges:
        """What lies between the spans."""
        ends = zip(self.spans, self.spans[1:], strict=False)
        return Ranges(tuple(Span(before.next, after.first) for before, after in ends))

    def __str__(self) -> str:
        return ", ".join(map(str, self.spans)) or "none"
