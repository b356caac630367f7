"""What a partition's state machine asks its shell to do; it never does any of it itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from replicator.deadletter.letter import Letter
from replicator.segment.container import LeftOut
from replicator.segment.name import Chain


@dataclass(slots=True, eq=False)
class Block:
    """Records that are compressed together: `raw` until the shell has packed them, `packed` from then on."""

    count: int
    raw: bytes
    packed: bytes | None = None
    segment: SealedSegment | None = None
    """The sealed segment that it is part of."""
    forgotten: bool = False
    """Its records are not going to be stored by this writer, and take no part in its figures."""

    @property
    def held(self) -> int:
        """Bytes of memory that the block takes."""
        return len(self.raw) if self.packed is None else len(self.packed)


@dataclass(slots=True, eq=False)
class Posting:
    """A dead letter on its way to its topic. What it is about isn't committed before it is durable there."""

    letter: Letter
    segment: SealedSegment | None = None
    """The sealed segment that waits for it."""
    forgotten: bool = False
    """It takes no part in its writer's figures any more."""

    @property
    def held(self) -> int:
        """Bytes of memory that the letter takes, about."""
        return 256 + (self.letter.record.size if self.letter.record is not None else 0)


@dataclass(slots=True, eq=False)
class SealedSegment:
    """The records of `[first, next)`, which nothing can change any more.

    The schemas come with the first offset that uses each. `reason` says why it was sealed.
    """

    chain: Chain
    first: int
    next: int
    count: int
    blocks: list[Block]
    value_schema: tuple[str, int] | None
    key_schemas: dict[str, int]
    min_timestamp: int | None
    max_timestamp: int | None
    reason: str
    unpacked: int
    """How many of its blocks aren't compressed yet."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Ranges that it covers and whose records it doesn't hold: they are in dead letters."""
    postings: list[Posting] = field(default_factory=list)
    """The letters about it that aren't durable yet."""
    hole: bool = False
    """There is nothing to store: letters cover the whole range."""
    durable: bool = False
    forgotten: bool = False
    """It is not going to be stored by this writer, though a thread may still be at it."""
    _taken: int = 0

    @property
    def held(self) -> int:
        """Bytes of memory that its records take, here or with whoever took them."""
        return self._taken + sum(block.held for block in self.blocks)

    def take(self) -> list[tuple[int, bytes]]:
        """Hand over the packed blocks, each (records, bytes); they are not kept here."""
        taken = [(block.count, block.packed or b"") for block in self.blocks]
        self._taken = self.held
        self.blocks = []
        return taken

    def free(self) -> None:
        """Give the records up."""
        self.blocks = []
        self._taken = 0

    def schemas(self) -> dict[str, int]:
        """Every schema that the segment needs, with the first offset that needs it."""
        value = dict([self.value_schema]) if self.value_schema else {}
        return self.key_schemas | value


@dataclass(frozen=True, slots=True)
class Pack:
    """Compress the block, then call `packed`."""

    block: Block


@dataclass(frozen=True, slots=True)
class Upload:
    """Store the segment durably, then call `stored`, or `refuse`. All its blocks are packed, and the letters
    about what it leaves out are durable."""

    segment: SealedSegment


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything below `offset` is durable: the group may begin there."""

    offset: int


@dataclass(frozen=True, slots=True)
class Post:
    """Write the letter durably, then call `posted`."""

    posting: Posting


@dataclass(frozen=True, slots=True)
class Rewind:
    """Read on from `offset` again once everything before it is durable: some of it has to go another way."""

    offset: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The partition can't go on at `offset`; what is before it is still stored and committed."""

    offset: int
    reason: str


Effect = Pack | Upload | Post | Commit | Rewind | Stop
