"""What a repair would do, as an object that people read. Pure: listings and findings in, steps out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from replicator.segment.name import Chain, SegmentName
from replicator.segment.ranges import Ranges, Span
from replicator.verify.findings import Finding, Kind
from replicator.verify.holdings import Held, Holdings

_OWN_BYTES = (Kind.METADATA_LOST, Kind.WRONG_CLASS)
_DAMAGED = (Kind.SHORT, Kind.ALTERED, Kind.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Copy:
    """A segment that the destination lacks, and who has it."""

    held: Held
    source: str

    def __str__(self) -> str:
        return f"copy {self.held.name.key()} from {self.source}"


@dataclass(frozen=True, slots=True)
class Replace:
    """A damaged segment that another destination has under the same name: kept aside, then written over."""

    held: Held
    source: str

    def __str__(self) -> str:
        return f"replace {self.held.name.key()} by the one of {self.source}, keeping the damaged one aside"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A segment whose bytes are right and whose metadata or class isn't: written again as it is."""

    held: Held

    def __str__(self) -> str:
        return f"write {self.held.name.key()} again, with its checksum and class"


@dataclass(frozen=True, slots=True)
class Remove:
    """A damaged segment whose range other segments cover, once the copies are made: kept aside, then gone."""

    held: Held

    def __str__(self) -> str:
        return f"take {self.held.name.key()} out of its chain, keeping it aside; others cover its range"


Step = Copy | Replace | Rewrite | Remove


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets that no source can give."""

    chain: Chain
    first: int
    next: int

    def __str__(self) -> str:
        return f"{self.chain} offsets {self.first} to {self.next - 1} are in no source"

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "topic": self.chain.topic,
            "topic_id": self.chain.topic_id,
            "partition": self.chain.partition,
            "first": self.first,
            "next": self.next,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which the destination never has less than before, and what stays lost."""

    steps: tuple[Step, ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of segments to write."""
        return sum(step.held.size for step in self.steps if not isinstance(step, Remove))


def plan(
    target: Holdings,
    findings: Iterable[Finding],
    sources: Sequence[tuple[str, Holdings]],
    unusable: Set[tuple[str, SegmentName]] = frozenset(),
) -> Plan:
    """The steps that mend what was found, from the sources in the order of preference.

    `unusable` are segments of sources that were seen to be damaged there. A damaged segment that no source
    has under its name is replaced by whole segments that cover its range: overlaps harm nobody.
    """
    mine = {held.name: held for held in target.all}
    damaged: dict[SegmentName, Held] = {}
    own_bytes: dict[SegmentName, Held] = {}
    lacking: dict[Chain, list[tuple[int, int]]] = defaultdict(list)
    for finding in findings:
        name = SegmentName.parse(finding.key) if finding.key is not None else None
        if name is not None and finding.kind in _DAMAGED:
            damaged[name] = mine.get(name, Held(name, 0))
        elif name is not None and finding.kind in _OWN_BYTES:
            own_bytes[name] = mine.get(name, Held(name, 0))
        elif finding.kind is Kind.MISSING and finding.chain is not None and name not in mine:
            assert finding.first is not None
            assert finding.next is not None
            lacking[finding.chain].append((finding.first, finding.next))
    replaced = {
        name: replacement
        for name in damaged
        if (replacement := _from_source(name, sources, unusable)) is not None
    }
    for name in damaged.keys() - replaced.keys():
        lacking[name.chain].append((name.first, name.next))
    sound = target.without(damaged.keys() - replaced.keys())
    copies: dict[SegmentName, Copy] = {}
    lost: list[Lost] = []
    for chain, spans in sorted(lacking.items()):
        wanted = Ranges.of(spans) - sound.ranges(chain)
        chosen, left = cover(chain, wanted, sources, unusable)
        copies |= {copy.held.name: copy for copy in chosen}
        lost += [Lost(chain, first, stop) for first, stop in left]
    rewrites = [Rewrite(held) for name, held in own_bytes.items() if name not in damaged]
    removals = [
        Remove(held)
        for name, held in damaged.items()
        if name not in replaced and not any(_overlap(name, each) for each in lost)
    ]
    steps: list[Step] = [*copies.values(), *replaced.values(), *rewrites, *removals]
    return Plan(tuple(steps), tuple(lost))


def cover(
    chain: Chain,
    wanted: Ranges,
    sources: Sequence[tuple[str, Holdings]],
    unusable: Set[tuple[str, SegmentName]] = frozenset(),
) -> tuple[list[Copy], Ranges]:
    """Whole segments of the sources that cover the wanted offsets, and the offsets that none covers.

    Of the segments that hold the next wanted offset the one that reaches furthest; among equals the first
    source's.
    """
    candidates = sorted(
        (
            (held.name.first, -held.name.next, rank, source, held)
            for rank, (source, holdings) in enumerate(sources)
            for held in holdings.segments.get(chain, ())
            if (source, held.name) not in unusable
        ),
        key=lambda each: each[:3],
    )
    chosen: list[Copy] = []
    left: list[Span] = []
    index = 0
    reach: Copy | None = None
    for first, stop in wanted:
        at = first
        while at < stop:
            while index < len(candidates) and candidates[index][0] <= at:
                *_, source, held = candidates[index]
                if reach is None or held.name.next > reach.held.name.next:
                    reach = Copy(held, source)
                index += 1
            if reach is not None and reach.held.name.next > at:
                if not chosen or chosen[-1] != reach:
                    chosen.append(reach)
                at = reach.held.name.next
            else:
                following = candidates[index][0] if index < len(candidates) else stop
                left.append(Span(at, min(following, stop)))
                at = following
    return chosen, Ranges.of(left)


def unlike(
    target: Holdings,
    sources: Sequence[tuple[str, Holdings]],
    *,
    complete: bool,
    begins: Mapping[Chain, int] | None = None,
) -> list[Finding]:
    """What sources have and the target lacks, as findings; what is behind the end of one of its chains only
    with `complete`.

    A hole that comes to be by copying what lies behind it is one of them, though no source has it. What lies
    before a chain's `begins` isn't missed: a base of the target stands for it.
    """
    found = []
    for chain in sorted({chain for _, holdings in sources for chain in holdings.segments}):
        held = target.ranges(chain)
        end = held.spans[-1].next if held else None
        theirs = Ranges.of(span for _, holdings in sources for span in holdings.ranges(chain))
        wanted = Ranges.of(span for span in theirs - held if complete or end is None or span.first < end)
        before = Ranges.of([(0, (begins or {}).get(chain, 0))])
        for lacking, why in (
            (wanted, "another destination has them"),
            ((held | wanted).gaps - held.gaps, "no source has them, and the chain will go on behind them"),
        ):
            found += [
                Finding(Kind.MISSING, why, None, chain, first, stop) for first, stop in lacking - before
            ]
    return found


def missing(source: Holdings, target: Holdings, wanted: Mapping[Chain, Ranges] | None) -> dict[Chain, Ranges]:
    """What the target lacks of the source, within `wanted` if that is given; chains that lack nothing are
    absent."""
    found = {}
    for chain in source.segments:
        lacks = source.ranges(chain) - target.ranges(chain)
        if wanted is not None:
            lacks = lacks & wanted.get(chain, Ranges())
        if lacks:
            found[chain] = lacks
    return found


def _from_source(
    name: SegmentName, sources: Sequence[tuple[str, Holdings]], unusable: Set[tuple[str, SegmentName]]
) -> Replace | None:
    """The segment as the first source has it that does."""
    for source, holdings in sources:
        if (source, name) not in unusable:
            for held in holdings.segments.get(name.chain, ()):
                if held.name == name:
                    return Replace(held, source)
    return None


def _overlap(name: SegmentName, lost: Lost) -> bool:
    return name.chain == lost.chain and name.first < lost.next and lost.first < name.next
