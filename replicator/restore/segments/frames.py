"""Which records of which segments count: a frame for each segment, cut to its offsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.debezium.exact import row_fields
from replicator.errors import IntegrityError
from replicator.restore.segments.fetch import SMALL, Fetched

_TOGETHER, _TOGETHER_BYTES = 256, 512 * 2**10
"""So many small segments are read at a time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The records of one segment whose offsets are in `[first, stop)`, or of small ones that follow each
    other in one chain: then `members` are those, and what is said of their schemas holds for each.

    `fields` are the Avro fields of the table's row in its value schema, in their order; empty for records
    that are no change events. `exact` are those that our own converter in Debezium wrote.
    """

    fetched: Fetched
    first: int
    stop: int
    fields: tuple[str, ...]
    exact: frozenset[str]
    members: tuple[Frame, ...] = ()

    @property
    def topic(self) -> str:
        """The topic that it is of."""
        return self.fetched.piece.name.topic

    @property
    def partition(self) -> int:
        """Of the topic."""
        return self.fetched.piece.name.partition

    @property
    def chain(self) -> tuple[str, int]:
        """Topic and partition: in these offsets have an order."""
        return self.topic, self.partition

    @property
    def of_base(self) -> bool:
        """Whether it was counted when a base was made, and everything that isn't is later."""
        return self.fetched.piece.name.base is not None

    @property
    def holds_rows(self) -> bool:
        """Whether each record is a row of its table at the cut of a base."""
        return self.fetched.piece.name.holds_rows

    @property
    def key_schemas(self) -> tuple[tuple[str, str], ...]:
        """Id and text of every schema that a key was written with."""
        return self.fetched.header.key_schemas

    @property
    def key(self) -> str:
        """The name of the segment's object; of several it is the first one's."""
        key = self.fetched.piece.name.key()
        return f"{key} or one of the {len(self.members) - 1} after it" if self.members else key


def frames(fetched: Sequence[Fetched], stops: Mapping[int, int] | None = None) -> list[Frame]:
    """The records of the pieces, each offset once, in offset order within a partition.

    `stops` gives the first offset per partition that is too late. `IntegrityError` when a segment has records
    without values: no source of ours writes such.
    """
    return list(
        in_order(sorted(fetched, key=lambda each: (each.piece.name.partition, each.piece.start)), stops)
    )


def in_order(fetched: Iterable[Fetched], stops: Mapping[int, int] | None = None) -> Iterator[Frame]:
    """As `frames`, of pieces that are in order already, one by one."""
    for one in fetched:
        header, piece = one.header, one.piece
        stop = piece.stop
        if stops is not None and piece.name.base is None:
            stop = min(stop, stops.get(piece.name.partition, stop))
        if header.count == 0 or stop <= piece.start:
            continue
        if header.value_schema is None:
            raise IntegrityError(
                f"{piece.name.key()} holds {header.count} records without a value (tombstones); "
                "the connector must run with tombstones.on.delete=false.",
                next_step="correct the connector (`replicator connect apply`) and take a new snapshot",
            )
        yield Frame(one, piece.start, stop, *row_fields(header.value_schema[1]))


def together(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same records in fewer frames: small segments of one chain that follow each other are one, as far as
    their schemas are the same. A base's stay what they are: each lies between commits of its own.
    """
    run: list[Frame] = []
    size = 0
    for frame in frames:
        own = _TOGETHER_BYTES if frame.of_base else frame.fetched.size
        if run and not (
            own <= SMALL
            and len(run) < _TOGETHER
            and size + own <= _TOGETHER_BYTES
            and _is_alike(run[0], frame)
        ):
            yield _one(run)
            run, size = [], 0
        if own <= SMALL:
            run.append(frame)
            size += own
        else:
            yield frame
    if run:
        yield _one(run)


def _is_alike(one: Frame, other: Frame) -> bool:
    ours, theirs = one.fetched, other.fetched
    return (
        ours.record_schema == theirs.record_schema
        and ours.header.value_schema == theirs.header.value_schema
        and ours.header.key_schemas == theirs.header.key_schemas
        and ours.piece.name.root == theirs.piece.name.root
        and one.chain == other.chain
    )


def _one(run: Sequence[Frame]) -> Frame:
    return run[0] if len(run) == 1 else replace(run[0], stop=run[-1].stop, members=tuple(run))
