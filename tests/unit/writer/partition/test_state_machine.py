"""The state machine, driven by hypothesis with any order of records, time, results and failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from replicator.deadletter.letter import Letter, Reason, Record, range_letter, record_letter
from replicator.segment.name import Chain
from replicator.segment.splice import Run
from replicator.writer.partition.effects import (
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
from replicator.writer.partition.state_machine import Limits, PartitionWriter

CHAIN = Chain("t", "x" * 22, 0)
LIMITS = Limits(segment_bytes=100, max_age_s=10.0, block_bytes=30)


def run(offsets: list[int], schema: str | None = "1") -> Run:
    """A run whose bytes are its offsets, so that a test can read back which records went where."""
    return Run(
        encoded=b"".join(offset.to_bytes(4, "big") for offset in offsets),
        count=len(offsets),
        first_offset=offsets[0],
        last_offset=offsets[-1],
        min_timestamp=offsets[0],
        max_timestamp=offsets[-1],
        value_schema=schema,
        key_schemas=(),
    )


def poison(offset: int) -> Letter:
    record = Record(offset, b"k", b"what is this")
    return record_letter("d", CHAIN, offset, record, Reason.NOT_WIRE_FORMAT, "odd", 0)


def offsets_in(blocks: list[tuple[int, bytes]]) -> list[int]:
    data = b"".join(packed for _, packed in blocks)
    return [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]


@dataclass
class Bucket:
    """What was stored, and what the group would begin from."""

    segments: list[tuple[int, int, list[int]]] = field(default_factory=list)
    committed: int | None = None
    letters: set[tuple[int, int]] = field(default_factory=set)
    """The ranges of the letters that are durable in Kafka."""
    left_out: set[int] = field(default_factory=set)
    """What the segments say of themselves that they don't hold."""

    def in_letters(self) -> set[int]:
        return {offset for first, nxt in self.letters for offset in range(first, nxt)}


class Partition(RuleBasedStateMachine):
    """The machine with a shell that is as slow, as out of order and as mortal as a real one may be."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Bucket()
        self.now = 0.0
        self.produced: list[int] = []
        """Offsets that hold a record, in the order Kafka has them."""
        self.end = 0
        """Where Kafka's log ends, markers included."""
        self.fed = 0
        """Up to which record (index) the consumer handed over."""
        self.packs: list[Pack] = []
        self.uploads: list[SealedSegment] = []
        self.posts: list[Posting] = []
        self.writer = PartitionWriter(CHAIN, 0, LIMITS)

    @initialize(first=st.integers(0, 50), refusals=st.booleans(), deaths=st.booleans())
    def begin(self, first: int, refusals: bool, deaths: bool) -> None:
        self.refusals = refusals
        self.deaths = deaths
        self.end = first
        self.start = first
        self.writer = PartitionWriter(CHAIN, first, LIMITS)

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Pack():
                    self.packs.append(effect)
                case Upload(segment):
                    assert not segment.unpacked
                    missing = {gap.first for gap in segment.left_out} - self.bucket.in_letters()
                    assert not missing, "a segment goes before the letters about what it leaves out"
                    self.uploads.append(segment)
                case Post(posting):
                    self.posts.append(posting)
                case Commit(offset):
                    assert self.bucket.committed is None or offset > self.bucket.committed
                    self.bucket.committed = offset
                case _:
                    assert self.writer.ended

    @rule(gaps=st.lists(st.integers(0, 3), min_size=1, max_size=12), marker=st.booleans())
    def produce(self, gaps: list[int], marker: bool) -> None:
        for gap in gaps:
            self.end += gap
            self.produced.append(self.end)
            self.end += 1
        self.end += marker

    @precondition(lambda self: self.fed < len(self.produced))
    @rule(count=st.integers(1, 12), schema=st.sampled_from(["1", "2", None]))
    def feed(self, count: int, schema: str | None) -> None:
        self.apply(self.writer.pass_over(self.produced[self.fed]))
        while self.fed < len(self.produced) and self.produced[self.fed] < self.writer.expected:
            self.fed += 1
        limit = self.end if self.writer.limit is None else self.writer.limit
        batch = [offset for offset in self.produced[self.fed : self.fed + count] if offset < limit]
        self.fed += len(batch)
        if batch:
            self.apply(self.writer.feed(run(batch, schema), self.now))

    @precondition(lambda self: self.fed < len(self.produced))
    @rule(count=st.integers(1, 3))
    def leave_out(self, count: int) -> None:
        for _ in range(count):
            if self.fed == len(self.produced):
                return
            self.apply(self.writer.pass_over(self.produced[self.fed]))
            offset = self.produced[self.fed]
            self.fed += 1
            if offset >= self.writer.expected:
                self.apply(self.writer.leave_out(poison(offset), self.now))

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), all_of_them=st.booleans(), twice=st.booleans())
    def write_letters(self, data: st.DataObject, all_of_them: bool, twice: bool) -> None:
        for _ in range(len(self.posts) if all_of_them else 1):
            posting = self.posts.pop(data.draw(st.integers(0, len(self.posts) - 1)))
            self.bucket.letters.add((posting.letter.first, posting.letter.next))
            self.apply(self.writer.posted(posting))
            if twice:
                self.apply(self.writer.posted(posting))

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def refuse_a_range(self, data: st.DataObject) -> None:
        """The destination is healthy and won't have that segment."""
        segment = self.uploads.pop(data.draw(st.integers(0, len(self.uploads) - 1)))
        self.apply(self.writer.refuse(segment, range_letter("d", CHAIN, segment.first, segment.next, "", 0)))

    @precondition(lambda self: self.refusals and self.uploads and not self.writer.ended)
    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        segment = self.uploads.pop(data.draw(st.integers(0, len(self.uploads) - 1)))
        self.apply(self.writer.rewind(segment))

    @precondition(lambda self: self.fed == len(self.produced))
    @rule()
    def caught_up(self) -> None:
        self.apply(self.writer.caught_up(self.end, self.now))

    @rule(seconds=st.floats(0.1, 20))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.apply(self.writer.tick(self.now))

    @precondition(lambda self: self.packs)
    @rule(data=st.data(), all_of_them=st.booleans())
    def pack(self, data: st.DataObject, all_of_them: bool) -> None:
        for _ in range(len(self.packs) if all_of_them else 1):
            chosen = self.packs.pop(data.draw(st.integers(0, len(self.packs) - 1)))
            self.apply(self.writer.packed(chosen.block, chosen.block.raw))

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), twice=st.booleans())
    def upload(self, data: st.DataObject, twice: bool) -> None:
        segment = self.uploads.pop(data.draw(st.integers(0, len(self.uploads) - 1)))
        gone = [offset for gap in segment.left_out for offset in range(gap.first, gap.next)]
        self.bucket.left_out.update(gone)
        self.bucket.segments.append((segment.first, segment.next, offsets_in(segment.take())))
        self.apply(self.writer.stored(segment))
        if twice:
            self.apply(self.writer.stored(segment))

    @precondition(lambda self: not self.writer.dropped)
    @rule(reason=st.sampled_from(["revoked", "memory", "flush"]), feed_first=st.booleans())
    def seal(self, reason: str, feed_first: bool) -> None:
        if feed_first and self.fed < len(self.produced):
            self.feed(3, "1")
        self.apply(self.writer.seal(reason))

    @precondition(lambda self: self.refusals and self.uploads and not self.writer.ended)
    @rule(data=st.data())
    def refuse_a_segment(self, data: st.DataObject) -> None:
        segment = self.uploads.pop(data.draw(st.integers(0, len(self.uploads) - 1)))
        self.apply(self.writer.condemn(segment, segment.first, "no schema"))

    @precondition(lambda self: self.refusals and self.uploads and not self.writer.ended)
    @rule()
    def meet_poison(self) -> None:
        offset = self.produced[self.fed] if self.fed < len(self.produced) else self.end
        self.apply(self.writer.stop(offset, "poison"))

    @precondition(lambda self: self.writer.ended or (self.deaths and len(self.uploads) > 1))
    @rule(lost=st.booleans())
    def die_and_begin_again(self, lost: bool) -> None:
        """Killed, revoked or lost: another writer begins where the group or the bucket says."""
        if lost:
            before = self.bucket.committed
            self.writer.drop()
            for late in [*self.packs]:
                self.apply(self.writer.packed(late.block, late.block.raw))
            for segment in self.uploads:
                self.apply(self.writer.stored(segment))
            for posting in self.posts:
                self.apply(self.writer.posted(posting))
            assert self.bucket.committed == before, "a dropped partition committed"
        self.packs, self.uploads, self.posts = [], [], []
        islands: list[tuple[int, int]] = []
        position = self.start if self.bucket.committed is None else self.bucket.committed
        for first, nxt, _ in sorted(self.bucket.segments):
            if first == position:
                position = nxt
            elif first > position:
                islands.append((first, nxt))
        self.fed = sum(1 for offset in self.produced if offset < position)
        self.writer = PartitionWriter(CHAIN, position, LIMITS, islands)

    @invariant()
    def what_is_committed_is_durable(self) -> None:
        position = self.start if hasattr(self, "start") else 0
        covered: set[int] = set()
        by_first = sorted(self.bucket.segments)
        for first, nxt, offsets in by_first:
            held = [o for o in self.produced if first <= o < nxt and o not in self.bucket.left_out]
            assert offsets == held, "a segment lacks or repeats records"
            covered.update(range(first, nxt))
        lettered = self.bucket.in_letters()
        assert self.bucket.left_out <= lettered, "a record is in no segment and in no letter"
        covered |= lettered
        if self.bucket.committed is not None:
            assert covered.issuperset(range(position, self.bucket.committed))

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        segments = sorted(self.bucket.segments)
        assert all(one[1] <= two[0] for one, two in pairwise(segments))

    @invariant()
    def memory_is_counted(self) -> None:
        assert self.writer.held >= 0
        if self.writer.settled:
            assert self.writer.held == 0, "what is settled holds nothing"


Partition.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is slow, and that is no finding
)
test_what_it_commits_is_durable_and_every_offset_is_in_one_segment_or_in_a_letter = Partition.TestCase


def fresh(first: int = 0) -> PartitionWriter:
    return PartitionWriter(CHAIN, first, LIMITS)


def packed(writer: PartitionWriter, effects: list[Effect]) -> list[Effect]:
    """The effects, with every block packed at once."""
    done: list[Effect] = []
    for effect in effects:
        done += writer.packed(effect.block, effect.block.raw) if isinstance(effect, Pack) else [effect]
    return done


def test_segments_of_one_run_of_a_writer_never_overlap_and_leave_no_gap() -> None:
    writer = fresh()
    sealed: list[SealedSegment] = []
    for first in range(0, 300, 10):
        effects = packed(writer, writer.feed(run(list(range(first, first + 9))), 0.0))
        sealed += [effect.segment for effect in effects if isinstance(effect, Upload)]
    effects = packed(writer, writer.seal("flush"))
    sealed += [effect.segment for effect in effects if isinstance(effect, Upload)]
    assert len(sealed) > 2
    assert sealed[0].first == 0
    assert all(one.next == two.first for one, two in pairwise(sealed))
    assert sum(segment.count for segment in sealed) == 270


def test_a_segment_is_sealed_when_its_first_record_is_old_enough() -> None:
    writer = fresh()
    writer.feed(run([0]), now=5.0)
    writer.feed(run([1]), now=14.0)
    assert writer.tick(14.9) == []
    [effect] = packed(writer, writer.tick(15.0))
    assert isinstance(effect, Upload)
    assert (effect.segment.first, effect.segment.next, effect.segment.reason) == (0, 2, "age")


def test_a_segment_grows_while_two_before_it_wait_for_the_destination() -> None:
    writer = fresh()
    waiting = []
    for offset in range(2):
        writer.feed(run([offset]), now=0.0)
        [effect] = packed(writer, writer.tick(10.0))
        assert isinstance(effect, Upload)
        waiting.append(effect.segment)
    for offset in range(2, 6):
        writer.feed(run([offset]), now=10.0)
        assert packed(writer, writer.tick(60.0 + offset)) == []
    writer.stored(waiting[0])
    [effect] = packed(writer, writer.tick(70.0))
    assert isinstance(effect, Upload)
    assert (effect.segment.first, effect.segment.next, effect.segment.reason) == (2, 6, "age")


def test_the_end_of_the_partition_is_covered_beyond_the_last_record() -> None:
    writer = fresh()
    writer.feed(run([0, 1]), 0.0)
    writer.caught_up(4, 0.0)
    [effect] = packed(writer, writer.tick(10.0))
    assert isinstance(effect, Upload)
    assert effect.segment.next == 4


def test_markers_alone_become_an_empty_segment_in_time() -> None:
    writer = fresh(7)
    writer.caught_up(9, 1.0)
    assert writer.tick(10.0) == []
    [effect] = writer.tick(11.0)
    assert isinstance(effect, Upload)
    assert (effect.segment.first, effect.segment.next, effect.segment.count) == (7, 9, 0)
    assert writer.stored(effect.segment) == [Commit(9)]


def test_only_the_contiguous_prefix_is_committed() -> None:
    writer = fresh()
    sealed = []
    for first in (0, 1, 2):
        writer.feed(run([first]), 0.0)
        [effect] = packed(writer, writer.seal("flush"))
        assert isinstance(effect, Upload)
        sealed.append(effect.segment)
    assert writer.stored(sealed[2]) == []
    assert writer.stored(sealed[0]) == [Commit(1)]
    assert writer.stored(sealed[1]) == [Commit(3)]
    assert writer.settled


def test_what_is_stored_already_is_passed_over_and_the_segment_before_it_ends_there() -> None:
    writer = PartitionWriter(CHAIN, 0, LIMITS, [(3, 5), (8, 9)])
    assert writer.limit == 3
    writer.feed(run([0, 1]), 0.0)
    [effect] = packed(writer, writer.pass_over(4))
    assert isinstance(effect, Upload)
    assert (effect.segment.first, effect.segment.next, effect.segment.reason) == (0, 3, "met")
    assert (writer.expected, writer.limit) == (5, 8)
    assert writer.stored(effect.segment) == [Commit(5)]
    [upload] = writer.pass_over(8)
    assert isinstance(upload, Upload)
    assert (upload.segment.first, upload.segment.next, upload.segment.count) == (5, 8, 0)
    assert writer.stored(upload.segment) == [Commit(9)]


def test_what_is_stored_already_can_not_be_fed() -> None:
    writer = PartitionWriter(CHAIN, 0, LIMITS, [(3, 5)])
    with pytest.raises(ValueError, match="stored from 3 on"):
        writer.feed(run([2, 3]), 0.0)


def test_a_range_that_is_stored_right_at_the_position_is_committed_at_once() -> None:
    writer = PartitionWriter(CHAIN, 3, LIMITS, [(3, 5)])
    assert writer.caught_up(5, 0.0) == [Commit(5)]
    assert writer.settled


def test_records_fed_twice_are_refused() -> None:
    writer = fresh()
    writer.feed(run([0, 1]), 0.0)
    with pytest.raises(ValueError, match="fed again"):
        writer.feed(run([1, 2]), 0.0)


def test_poison_ends_the_chain_right_before_it() -> None:
    writer = fresh()
    writer.feed(run([0, 1]), 0.0)
    upload, stop = packed(writer, writer.stop(2, "not in wire format"))
    assert isinstance(upload, Upload)
    assert upload.segment.next == 2
    assert stop == Stop(2, "not in wire format")
    assert writer.feed(run([3]), 0.0) == []
    assert writer.stored(upload.segment) == [Commit(2)]


def test_a_segment_whose_schema_is_refused_takes_what_follows_with_it_and_nothing_before() -> None:
    writer = fresh()
    writer.feed(run([0], "1"), 0.0)
    [good] = packed(writer, writer.seal("flush"))
    writer.feed(run([1], "2"), 0.0)
    [bad] = packed(writer, writer.seal("flush"))
    writer.feed(run([2], "1"), 0.0)
    assert isinstance(good, Upload)
    assert isinstance(bad, Upload)
    assert writer.condemn(bad.segment, 1, "unknown") == [Stop(1, "unknown")]
    assert writer.stored(good.segment) == [Commit(1)]
    assert writer.settled
    assert writer.held == 0


def test_a_record_that_can_not_be_stored_is_left_out_and_its_letter_goes_first() -> None:
    writer = fresh()
    writer.feed(run([0, 1]), 0.0)
    [post] = writer.leave_out(poison(2), 0.0)
    writer.feed(run([3]), 0.0)
    assert isinstance(post, Post)
    assert packed(writer, writer.seal("flush")) == [], "the letter isn't durable yet"
    [upload] = writer.posted(post.posting)
    assert isinstance(upload, Upload)
    assert (upload.segment.first, upload.segment.next, upload.segment.count) == (0, 4, 3)
    assert [(gap.first, gap.next, gap.reason) for gap in upload.segment.left_out] == [
        (2, 3, "not-wire-format")
    ]
    assert writer.stored(upload.segment) == [Commit(4)]
    assert writer.held == 0


def test_neighbours_that_are_left_out_for_the_same_reason_are_one_range() -> None:
    writer = fresh()
    posts = [post for offset in (0, 1, 2) for post in writer.leave_out(poison(offset), 0.0)]
    writer.feed(run([3]), 0.0)
    packed(writer, writer.seal("flush"))
    uploads = [u for post in posts if isinstance(post, Post) for u in writer.posted(post.posting)]
    [upload] = uploads
    assert isinstance(upload, Upload)
    assert [(gap.first, gap.next) for gap in upload.segment.left_out] == [(0, 3)]


def test_a_segment_that_would_hold_nothing_but_what_is_left_out_is_a_hole_and_passed() -> None:
    writer = fresh(5)
    [post] = writer.leave_out(poison(5), 0.0)
    assert isinstance(post, Post)
    assert writer.seal("flush") == []
    assert writer.posted(post.posting) == [Commit(6)]
    assert writer.settled


def test_a_refused_segment_is_passed_once_its_letter_is_durable_and_holds_no_memory() -> None:
    writer = fresh()
    sealed = []
    for first in (0, 1):
        writer.feed(run([first]), 0.0)
        [upload] = packed(writer, writer.seal("flush"))
        assert isinstance(upload, Upload)
        upload.segment.take()
        sealed.append(upload.segment)
    [post] = writer.refuse(sealed[0], range_letter("d", CHAIN, 0, 1, "403", 0))
    assert isinstance(post, Post)
    assert writer.stored(sealed[1]) == []
    assert writer.held == post.posting.held
    assert writer.posted(post.posting) == [Commit(2)]
    assert writer.held == 0
    assert writer.settled


def test_more_letters_than_allowed_stop_the_partition_before_the_next_record() -> None:
    writer = PartitionWriter(CHAIN, 0, Limits(100, 10.0, max_letters=2))
    for offset in (0, 1):
        assert isinstance(writer.leave_out(poison(offset), 0.0)[0], Post)
    effects = writer.leave_out(poison(2), 0.0)
    assert isinstance(effects[-1], Stop)
    assert effects[-1].offset == 2
    assert writer.leave_out(poison(3), 0.0) == []


def test_a_rewound_writer_gives_up_the_segment_with_all_after_it_and_settles_with_what_is_before() -> None:
    writer = fresh()
    sealed = []
    for first in (0, 1, 2):
        writer.feed(run([first]), 0.0)
        [upload] = packed(writer, writer.seal("flush"))
        assert isinstance(upload, Upload)
        sealed.append(upload.segment)
    writer.leave_out(poison(3), 0.0)
    assert writer.rewind(sealed[1]) == [Rewind(1)]
    assert writer.durable == 0, "what is before it is still on its way"
    assert writer.stored(sealed[2]) == []
    assert writer.stored(sealed[0]) == [Commit(1)]
    assert writer.settled
    assert writer.held == 0
    assert writer.feed(run([4]), 0.0) == writer.rewind(sealed[1]) == []


def test_a_dropped_partition_does_nothing_any_more() -> None:
    writer = fresh()
    writer.feed(run([0]), 0.0)
    [pack] = writer.seal("flush")
    assert isinstance(pack, Pack)
    writer.drop()
    assert writer.packed(pack.block, b"") == []
    assert writer.tick(100.0) == writer.seal("x") == writer.feed(run([1]), 0.0) == writer.stop(1, "") == []
    assert writer.held == 0
