"""Segments of a range from its records, the same way and with the same bytes each time. Pure.

The sink's own state machine cuts them, fed in batches of a fixed number: block boundaries, and with them the
name, are a function of the records alone. A replay that was killed after it stored a segment writes the same
name again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from replicator.deadletter.letter import Letter
from replicator.segment import container
from replicator.segment.name import Chain
from replicator.segment.splice import Columns
from replicator.writer.partition.effects import Effect, Pack, Post, Upload
from replicator.writer.partition.heading import heading
from replicator.writer.partition.state_machine import Limits, PartitionWriter
from replicator.writer.partition.triage import Unfit, triage
from replicator.writer.schemas.book import Refusal

_BATCH = 500
_SEGMENT_BYTES = 16 * 2**20
_ANY_SIZE = 2**31 - 1


@dataclass(slots=True)
class Composed:
    """The segments of a range in order, and the letters about records that none of them could take."""

    segments: list[container.Segment] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)


def schemas_of(columns: Columns) -> set[str]:
    """The names of all schemas that records in wire format need."""
    names: set[str] = set()
    for part in triage(columns, {}, _ANY_SIZE):
        if not isinstance(part, Unfit):
            names |= {name for name, _ in part.key_schemas}
            names |= {part.value_schema} if part.value_schema is not None else set()
    return names


def compose(
    chain: Chain,
    first: int,
    next_: int,
    columns: Columns,
    cluster_id: str,
    text: Callable[[str], str | None],
    refusals: Mapping[str, Refusal],
    letter_of: Callable[[Unfit], Letter],
) -> Composed:
    """The segments of `[first, next_)`, which together hold these records and cover every offset.

    `text` gives the schemas' texts. Records that need a schema of `refusals`, or aren't in wire format, are
    left out, and their letters have to be durable before the segments are stored; a range of such alone isn't
    covered.
    """
    done = Composed()
    writer = PartitionWriter(chain, first, Limits(_SEGMENT_BYTES, float("inf"), max_letters=_ANY_SIZE))

    def apply(effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Pack(block):
                    apply(writer.packed(block, container.compress(block.raw)))
                case Upload(segment):
                    header = heading(segment, cluster_id, text)
                    done.segments.append(container.build(header, segment.take()))
                    apply(writer.stored(segment))
                case Post(posting):
                    done.letters.append(posting.letter)
                    apply(writer.posted(posting))
                case _:
                    pass  # nothing is committed here, and nothing stops

    rest = columns
    while rest.offsets:
        cut = rest.offsets[_BATCH] if len(rest.offsets) > _BATCH else rest.offsets[-1] + 1
        batch, rest = rest.split(cut)
        for part in triage(batch, refusals, _ANY_SIZE):
            if isinstance(part, Unfit):
                apply(writer.leave_out(letter_of(part), 0.0))
            else:
                apply(writer.feed(part, 0.0))
    apply(writer.caught_up(next_, 0.0))
    apply(writer.seal("replay"))
    return done
