"""One partition's state machine: records, time and results in, effects out. It does no I/O.

What it commits is durable, and every offset from its first position on is in exactly one segment or in a
dead letter: segments are cut from one sequence of records, each begins where the one before ends, and only
the contiguous durable prefix is committed, whatever the order in which uploads finish. Ranges that a
predecessor stored beyond its commit before it died are passed over, and the segment before each ends where it
begins.

A record that can't be stored is left out of its segment, and that segment isn't uploaded before the record's
letter is durable: whoever finds the segment in the destination may trust that the letter is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.deadletter.letter import Letter
from replicator.segment.name import Chain
from replicator.segment.splice import Run
from replicator.writer.partition.effects import (
    Block,
    Commit,
    Effect,
    Pack,
    Post,
    Posting,
    Rewind,
    SealedSegment,
    Stop,
    Upload,
)
from replicator.writer.partition.opening import OpenSegment, stored_before

_QUEUED = 2
"""So many segments of a partition on their way, and nothing is sealed by age: one is in the destination's
hands, and the other is ready when that one is stored."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a segment is sealed: bytes before compression, and seconds since its first record was fed.

    Runs are compressed together until they have `block_bytes`. Each block goes to the thread that compresses
    and back, and each of these steps waits for the interpreter: with blocks a quarter as large the sink is a
    fifth slower. Larger ones are no quicker, and hold more of what isn't compressed yet.

    After `max_letters` records that couldn't be stored the partition stops: that is no exception any more,
    and its records are better kept where they are until a person has looked.
    """

    segment_bytes: int
    max_age_s: float
    block_bytes: int = 512 * 1024
    max_letters: int = 10_000


class PartitionWriter:
    """The segments of one topic-partition, from `position` on. `now` is monotonic, in seconds.

    `islands` are the ranges `[first, next)` beyond `position` that are durable already: in order, disjoint.
    """

    def __init__(
        self, chain: Chain, position: int, limits: Limits, islands: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.chain = chain
        self.position = position
        """Where the next segment begins: records below it were taken, and are in a segment."""
        self.durable = position
        self.held = 0
        """Bytes of memory that its records take."""
        self.dropped = False
        self.stopped: Stop | None = None
        self.rewinding = False
        """It takes nothing more: what it gave up is read again by another writer once this one is settled."""
        self._letters = 0
        self._limits = limits
        self._open: OpenSegment | None = None
        self._stood: int | None = None
        self._idle_since: float | None = None
        self._in_flight: deque[SealedSegment] = deque()
        self._islands = deque(islands)

    @property
    def limit(self) -> int | None:
        """Where the next range begins that is durable already; only what lies before it may be fed."""
        return self._islands[0][0] if self._islands else None

    @property
    def expected(self) -> int:
        """The lowest offset that may still be fed."""
        last = self._open.last_offset if self._open else -1
        return max(self.position, last + 1)

    @property
    def reached(self) -> int:
        """Where the consumer stands, as far as it said."""
        return max(self.expected, self._stood or 0)

    @property
    def settled(self) -> bool:
        """Whether everything that was fed is durable."""
        return self._open is None and not self._in_flight

    @property
    def ended(self) -> bool:
        """Whether it takes nothing more."""
        return self.dropped or self.rewinding or self.stopped is not None

    @property
    def open_bytes(self) -> int:
        """Bytes before compression in the open segment."""
        return self._open.bytes if self._open else 0

    def feed(self, run: Run, now: float) -> list[Effect]:
        """Take the records; `ValueError` if some were taken before or are durable already, which would store
        them twice."""
        if self.ended:
            return []
        self._check_place(run.first_offset, run.last_offset)
        effects: list[Effect] = []
        if self._open is not None and not self._open.accepts(run):
            effects += self.seal("schema")
        if self._open is None:
            self._open = OpenSegment(now)
        self._idle_since = None
        self._open.add(run)
        self.held += len(run.encoded)
        if self._open.parts_bytes >= self._limits.block_bytes:
            effects.append(Pack(self._open.close_block()))
        if self._open.bytes >= self._limits.segment_bytes:
            effects += self.seal("size")
        return effects

    def leave_out(self, letter: Letter, now: float) -> list[Effect]:
        """The letter's one record can't be stored: its segment covers it without holding it. `ValueError` as
        for `feed`."""
        if self.ended:
            return []
        self._check_place(letter.first, letter.next - 1)
        if self._letters >= self._limits.max_letters:
            return self.stop(
                letter.first,
                f"{self._letters} records of it went to dead letters since it began here. {letter.detail}",
            )
        self._letters += 1
        if self._open is None:
            self._open = OpenSegment(now)
        self._idle_since = None
        posting = Posting(letter)
        self._open.leave_out(posting)
        self.held += posting.held
        return [Post(posting)]

    def _check_place(self, first: int, last: int) -> None:
        if first < self.expected:
            raise ValueError(f"{self.chain}: {first} was fed again, expected {self.expected}")
        if self._islands and last >= self._islands[0][0]:
            raise ValueError(f"{self.chain}: {last} is stored from {self._islands[0][0]} on")

    def pass_over(self, offset: int) -> list[Effect]:
        """The consumer has come to `offset`: pass over what is durable already and begins before or there."""
        effects: list[Effect] = []
        while self._islands and self._islands[0][0] <= offset and not self.ended:
            first, end = self._islands.popleft()
            if first > self.position:
                effects += self._cut(first, "met")
            self.position = end
            if self._in_flight:
                self._in_flight.append(stored_before(self.chain, first, end))
            else:
                self.durable = end
                effects.append(Commit(end))
        return effects

    def caught_up(self, offset: int, now: float) -> list[Effect]:
        """The consumer stands at `offset`, the end of the partition: transaction markers lie in between."""
        effects = self.pass_over(offset)
        if self.ended or offset < self.expected:
            return effects
        self._stood = offset
        if self._open is None and offset > self.position and self._idle_since is None:
            self._idle_since = now
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Seal what is old enough; also a range of markers alone, so that the chain reaches its end.

        Not while segments of this partition queue up before the destination: one more would be durable no
        sooner than a larger one that takes its turn, and after an outage thousands of small ones would hold
        up what comes after them.
        """
        if self.ended or len(self._in_flight) >= _QUEUED:
            return []
        since = self._open.opened if self._open else self._idle_since
        return self.seal("age") if since is not None and now - since >= self._limits.max_age_s else []

    def seal(self, reason: str) -> list[Effect]:
        """End the open segment, or the range of markers that has none, here; nothing if there is neither."""
        if self.dropped or (self._open is None and self._idle_since is None):
            return []
        return self._cut(self.reached, reason)

    def _cut(self, end: int, reason: str) -> list[Effect]:
        """A segment from `position` to `end`, of what is open."""
        filled = self._open or OpenSegment(0.0)
        effects: list[Effect] = [Pack(filled.close_block())] if filled.parts else []
        segment = SealedSegment(
            chain=self.chain,
            first=self.position,
            next=end,
            count=filled.count,
            blocks=filled.blocks,
            value_schema=filled.value_schema,
            key_schemas=filled.key_schemas,
            min_timestamp=filled.min_timestamp,
            max_timestamp=filled.max_timestamp,
            reason=reason,
            unpacked=sum(block.packed is None for block in filled.blocks),
            left_out=filled.left_out,
            postings=filled.postings,
        )
        # A segment that leaves out all that it covers would say less than the hole that its letters name, and
        # would stand in the way of the one that fills it.
        left_out = sum(gap.next - gap.first for gap in segment.left_out)
        segment.hole = 0 < left_out == end - self.position
        self.position = end
        self._open = self._idle_since = self._stood = None
        self._in_flight.append(segment)
        for block in segment.blocks:
            block.segment = segment
        for posting in segment.postings:
            posting.segment = segment
        return effects + self._go_on(segment)

    def _go_on(self, segment: SealedSegment) -> list[Effect]:
        """Upload the segment, or pass its hole, if nothing is left to wait for."""
        if segment.unpacked or segment.postings:
            return []
        return self._settle(segment) if segment.hole else [Upload(segment)]

    def packed(self, block: Block, data: bytes) -> list[Effect]:
        """The block was compressed to `data`."""
        if self.dropped or block.forgotten:
            return []
        self.held -= block.held
        block.packed, block.raw = data, b""
        self.held += block.held
        if block.segment is None:
            return []
        block.segment.unpacked -= 1
        return self._go_on(block.segment)

    def posted(self, posting: Posting) -> list[Effect]:
        """The letter is durable."""
        if self.dropped or posting.forgotten:
            return []
        posting.forgotten = True
        self.held -= posting.held
        segment = posting.segment
        if segment is None:
            assert self._open is not None, "a letter that isn't forgotten belongs to a segment"
            self._open.postings.remove(posting)
            return []
        segment.postings.remove(posting)
        return self._go_on(segment)

    def refuse(self, segment: SealedSegment, letter: Letter) -> list[Effect]:
        """A healthy destination won't take the segment: its range becomes a hole once the letter is
        durable."""
        if self.dropped or segment.durable or segment.forgotten or segment.hole:
            return []
        self.held -= segment.held
        segment.free()
        segment.hole = True
        posting = Posting(letter, segment)
        segment.postings.append(posting)
        self.held += posting.held
        return [Post(posting)]

    def stored(self, segment: SealedSegment) -> list[Effect]:
        """The segment is durable. Commits if the contiguous durable prefix grew."""
        if self.dropped or segment.durable or segment.forgotten or segment.hole:
            return []
        self.held -= segment.held
        segment.free()
        return self._settle(segment)

    def _settle(self, segment: SealedSegment) -> list[Effect]:
        """What the segment covers is durable, in the destination or in letters."""
        segment.durable = True
        before = self.durable
        while self._in_flight and self._in_flight[0].durable:
            self.durable = self._in_flight.popleft().next
        return [Commit(self.durable)] if self.durable > before else []

    def stop(self, offset: int, reason: str) -> list[Effect]:
        """The record at `offset` can't be stored: end the chain before it, and take nothing more."""
        if self.ended:
            return []
        effects = self.seal("stopped")
        self.stopped = Stop(offset, reason)
        return [*effects, self.stopped]

    def condemn(self, segment: SealedSegment, offset: int, reason: str) -> list[Effect]:
        """The sealed segment can't be stored, because of its record at `offset`: drop it and all after it."""
        if self.dropped or segment.durable or segment.forgotten:
            return []
        self._give_up_from(segment)
        self.stopped = Stop(offset, reason)
        return [self.stopped]

    def rewind(self, segment: SealedSegment) -> list[Effect]:
        """Some of the sealed segment's records need another way: give it up with all after it, to be read
        again."""
        if self.dropped or segment.durable or segment.forgotten:
            return []
        self._give_up_from(segment)
        self.rewinding = True
        return [Rewind(segment.first)]

    def _give_up_from(self, segment: SealedSegment) -> None:
        while True:
            last = self._in_flight.pop()
            self._forget(last.held, last.blocks, last.postings)
            last.forgotten = True
            if last is segment:
                break
        if self._open is not None:
            opened = sum(block.held for block in self._open.blocks)
            self._forget(self._open.parts_bytes + opened, self._open.blocks, self._open.postings)
        self._open = self._idle_since = self._stood = None
        self.position = segment.first

    def _forget(self, held: int, blocks: list[Block], postings: list[Posting]) -> None:
        self.held -= held + sum(posting.held for posting in postings)
        for block in blocks:
            block.forgotten = True
        for posting in postings:
            posting.forgotten = True

    def drop(self) -> None:
        """The partition is somebody else's: nothing of it is committed any more."""
        self.dropped = True
        self.held = 0
        self._open = self._idle_since = self._stood = None
        self._in_flight.clear()
