"""What the workers are told of one table: everything that its records mean, and nothing of what is in them.

All of it is pickled: it goes to other machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from replicator.debezium.binary import Constant
from replicator.debezium.pgtypes import PgType
from replicator.debezium.transactions import Commits
from replicator.errors import ReplicatorError
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.fold.belonging import Belonging
from replicator.restore.fold.folding import Fold, Folding
from replicator.restore.fold.row_filter import RowFilter
from replicator.restore.fold.survivors import Survivors
from replicator.restore.rows.surviving import Rows
from replicator.restore.rows.table import Table
from replicator.restore.segments.catalog import Piece
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import Chunk
from replicator.segment.name import Chain


@dataclass(frozen=True, slots=True)
class Form:
    """A chain and the schema with which some of its records are written."""

    chain: Chain
    record_schema: str
    value_schema: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a segment up to the offset `stop`; its form is the task's of that number.

    The segment lies in a file that all workers see, or is small and travels with what is told of it.
    """

    held: Path | bytes
    piece: Piece
    stop: int
    form: int


@dataclass(frozen=True, slots=True)
class Task:
    """One table: whether its primary key tells rows apart, and what `Fold` and `Rows` need besides records.

    `folder` is a directory that all workers share. With `as_text` rows are written as text, also where they
    have a binary form.
    """

    table: Table
    keyed: bool
    folder: Path
    forms: tuple[Form, ...]
    folding: Folding
    added: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    only: RowFilter | None = None
    types: Mapping[str, PgType] = field(default_factory=dict)
    constants: Mapping[str, Constant] = field(default_factory=dict)
    as_text: bool = False

    def rows(self, frames: Sequence[Frame]) -> Rows:
        """A pass over frames of the table in which every record counts."""
        return Rows(self.table, EveryRecord(self, frames), self.added, self.only, self.types)

    def by_image(self) -> Task:
        """The same with rows told by what is in them."""
        return replace(self, keyed=False)

    def decided(self) -> Task:
        """The same for records of which each is a row of the result, wherever it came from."""
        return replace(self, keyed=True, folding=replace(self.folding, stream_starts={}, held={}))


class EveryRecord(Fold):
    """The records of some frames, none of which is superseded as far as these frames tell."""

    def __init__(self, task: Task, frames: Sequence[Frame]) -> None:
        told, nobody = task.folding, Commits()
        super().__init__(
            frames,
            told.key,
            nobody,
            told.snapshot_lsn,
            told.stream_starts,
            epochs=told.epochs,
            belonging=_Belonging(nobody, told.held),
        )
        self.keyed = task.keyed

    @cached_property
    def survivors(self) -> Survivors | None:
        """None: all of them."""
        return None


class _Belonging(Belonging):
    """As judged where the commits aren't known."""

    def check(self, frame: Frame, chunk: Chunk) -> None:
        try:
            super().check(frame, chunk)
        except SchemaRefusedError as error:
            raise SchemaRefusedError(
                error.message, next_step="--engine local names the nearest possible moment"
            ) from None


@dataclass(frozen=True, slots=True)
class Failure:
    """What a worker answers instead of a result; raised again where all answers come together."""

    error: ReplicatorError


def parts(frames: Sequence[Frame]) -> tuple[tuple[Form, ...], list[Part]]:
    """The forms that the frames are written in, numbered, and the frames as they are told to workers."""
    numbers: dict[Form, int] = {}
    found = []
    # Small segments that are one frame here are told one by one: each is compared with its own name.
    for frame in (each for given in frames for each in given.members or (given,)):
        header = frame.fetched.header
        assert header.value_schema is not None  # `frames.frames` has none without
        form = Form(header.chain, frame.fetched.record_schema, header.value_schema)
        number = numbers.setdefault(form, len(numbers))
        found.append(Part(frame.fetched.held, frame.fetched.piece, frame.stop, number))
    return tuple(numbers), found


def groups(found: Sequence[Part], workers: int, group_bytes: int = 64 * 2**20) -> list[list[Part]]:
    """The parts in groups of about equal size, for one worker each: of at most `group_bytes` or one part, and
    at least one group a worker.
    """
    total = sum(part.piece.size for part in found)
    limit = min(group_bytes, total // max(1, workers))
    made: list[list[Part]] = []
    size = 0
    for part in found:
        if not made or size + part.piece.size > limit:
            made.append([])
            size = 0
        made[-1].append(part)
        size += part.piece.size
    return made
