"""A segment while it is filled: the part of a partition's state that grows."""

from __future__ import annotations

from replicator.segment.container import LeftOut
from replicator.segment.name import Chain
from replicator.segment.splice import Run
from replicator.writer.partition.effects import Block, Posting, SealedSegment


class OpenSegment:
    """The segment that is being filled. `now` is monotonic, in seconds."""

    def __init__(self, now: float) -> None:
        self.opened = now
        self.parts: list[bytes] = []
        self.parts_bytes = 0
        self.parts_count = 0
        self.blocks: list[Block] = []
        self.bytes = 0
        self.count = 0
        self.last_offset = -1
        self.value_schema: tuple[str, int] | None = None
        self.key_schemas: dict[str, int] = {}
        self.min_timestamp: int | None = None
        self.max_timestamp: int | None = None
        self.left_out: list[LeftOut] = []
        self.postings: list[Posting] = []
        """The letters about what is left out that aren't durable yet."""

    def accepts(self, run: Run) -> bool:
        """Whether the run may join: a segment has one value schema."""
        return None in (run.value_schema, self.value_schema) or self.value_schema[0] == run.value_schema  # type: ignore[index]

    def add(self, run: Run) -> None:
        """Take the run's records."""
        self.parts.append(run.encoded)
        self.parts_bytes += len(run.encoded)
        self.parts_count += run.count
        self.bytes += len(run.encoded)
        self.count += run.count
        self.last_offset = run.last_offset
        if self.value_schema is None and run.value_schema is not None:
            self.value_schema = (run.value_schema, run.first_offset)
        for schema, first in run.key_schemas:
            self.key_schemas.setdefault(schema, first)
        if self.min_timestamp is None or run.min_timestamp < self.min_timestamp:
            self.min_timestamp = run.min_timestamp
        if self.max_timestamp is None or run.max_timestamp > self.max_timestamp:
            self.max_timestamp = run.max_timestamp

    def leave_out(self, posting: Posting) -> None:
        """Cover the letter's record without holding it."""
        letter, reason = posting.letter, posting.letter.reason.value
        last = self.left_out[-1] if self.left_out else None
        if last is not None and (last.next, last.reason) == (letter.first, reason):
            self.left_out[-1] = LeftOut(last.first, letter.next, reason)
        else:
            self.left_out.append(LeftOut(letter.first, letter.next, reason))
        self.last_offset = letter.next - 1
        self.postings.append(posting)

    def close_block(self) -> Block:
        """What was added since the last one, to be compressed together."""
        raw = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        block = Block(self.parts_count, raw)
        self.blocks.append(block)
        self.parts, self.parts_bytes, self.parts_count = [], 0, 0
        return block


def stored_before(chain: Chain, first: int, end: int) -> SealedSegment:
    """A range that is durable already, in line behind what isn't yet."""
    return SealedSegment(
        chain=chain,
        first=first,
        next=end,
        count=0,
        blocks=[],
        value_schema=None,
        key_schemas={},
        min_timestamp=None,
        max_timestamp=None,
        reason="met",
        unpacked=0,
        durable=True,
    )
