"""One lane in simulated time: the real state machine, the real lane and breaker, no thread and no clock.

The destination, the topic of letters, the consumer and death are played by a seeded random number generator.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from replicator.deadletter.letter import Reason, Record, range_letter, record_letter
from replicator.segment.container import Segment
from replicator.segment.name import Chain, SegmentName
from replicator.segment.splice import Run
from replicator.storage import ErrorKind, ObjectInfo, PutResult, StorageError
from replicator.storage.port import Capabilities, CreateIfAbsent
from replicator.telemetry import SinkMetrics
from replicator.writer.delivery.breaker import Patience
from replicator.writer.delivery.lane import Durable, Lane, Rejected
from replicator.writer.partition.effects import (
    Commit,
    Effect,
    Pack,
    Post,
    Posting,
    Rewind,
    SealedSegment,
    Upload,
)
from replicator.writer.partition.state_machine import Limits, PartitionWriter
from replicator.writer.process.health import Health

CHAIN = Chain("t", "x" * 22, 0)
LIMITS = Limits(segment_bytes=24, max_age_s=1.0, block_bytes=12)
PATIENCE = Patience(refused_s=60.0, refusals=4, stuck_s=900.0)
METRICS = SinkMetrics()
DAY_S = 86_400.0


class Time:
    """Jobs in the order of their time; the clock stands still while one runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def clock(self) -> float:
        return self.now

    def submit(self, job: Callable[[], None], *, after_s: float = 0.0) -> None:
        heapq.heappush(self._jobs, (self.now + after_s, next(self._numbers), job))

    def step(self) -> bool:
        if not self._jobs:
            return False
        self.now, _, job = heapq.heappop(self._jobs)
        job()
        return True


@dataclass
class Weather:
    """When the destination is in which mood, until it is well for good at `well_at`."""

    random: Random
    well_at: float = 0.0
    spells: list[tuple[float, str]] = field(default_factory=list)

    def forecast(self) -> None:
        at = 0.0
        for _ in range(self.random.randint(0, 4)):
            self.spells.append((at, self.random.choice(["up", "down", "denied", "flaky", "throttled"])))
            at += self.random.choice([0.5, 5.0, 60.0, 600.0, 3600.0]) * self.random.uniform(0.5, 1.5)
        self.well_at = at

    def at(self, now: float) -> str:
        if now >= self.well_at:
            return "up"
        return [mood for since, mood in self.spells if since <= now][-1]


class Destination:
    """A store with moods; some segments it refuses even when it is well, and some answers are lost."""

    capabilities = Capabilities(CreateIfAbsent.ATOMIC, refuses_wrong_checksum=True)

    def __init__(self, time: Time, random: Random, weather: Weather, refuses: set[int]) -> None:
        self._time, self._random, self._weather = time, random, weather
        self.refuses = refuses
        """First offsets of segments that it won't take."""
        self.objects: dict[str, bytes] = {}

    def _answer(self) -> None:
        mood = self._weather.at(self._time.now)
        if mood == "down" or (mood == "flaky" and self._random.random() < 0.5):
            raise StorageError("no answer", kind=ErrorKind.TRANSIENT)
        if mood == "denied":
            raise StorageError("forbidden", kind=ErrorKind.AUTH)
        if mood == "throttled":
            raise StorageError("slow down", kind=ErrorKind.THROTTLED, retry_after=20.0)

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        self._answer()
        name = SegmentName.parse(key)
        if name is not None and name.first in self.refuses:
            raise StorageError("not this one", kind=self._random.choice([ErrorKind.FATAL, ErrorKind.AUTH]))
        existed = key in self.objects
        self.objects[key] = body
        if name is not None and self._random.random() < 0.05:
            raise StorageError("the answer was lost", kind=ErrorKind.TRANSIENT)
        return PutResult.EXISTED if existed else PutResult.CREATED

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        self._answer()
        return self.objects[key]

    def head(self, key: str) -> ObjectInfo:
        raise NotImplementedError

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        raise NotImplementedError

    def delete(self, key: str) -> None:
        self._answer()
        self.objects.pop(key, None)

    def close(self) -> None: ...


class Simulation:
    """Records 0 to `end`, some of them poison, on their way into one destination."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.time = Time()
        self.end = random.randint(1, 30)
        self.poison = {offset for offset in range(self.end) if random.random() < 0.1}
        self.markers = {offset for offset in range(self.end) if random.random() < 0.1} - self.poison
        self.weather = Weather(random)
        self.weather.forecast()
        refuses = {offset for offset in range(self.end) if random.random() < 0.08}
        self.destination = Destination(self.time, random, self.weather, refuses)
        self.letters_down_until = random.choice([0.0, 0.0, 10.0, 700.0])
        self.deaths = random.choice([0, 0, 1, 2, 4])
        self.durable: list[tuple[int, int, frozenset[int]]] = []
        """What is in the destination: range, and the offsets left out."""
        self.letters: set[tuple[int, int]] = set()
        self.committed = 0
        self.begin()

    def begin(self) -> None:
        """A process begins where the group and the destination say."""
        islands: list[tuple[int, int]] = []
        position = self.committed
        for first, nxt, _ in sorted(self.durable):
            if first <= position < nxt:
                position = nxt
            elif first > position and (not islands or first >= islands[-1][1]):
                islands.append((first, nxt))
        self.fed = position
        self.writer = PartitionWriter(CHAIN, position, LIMITS, islands)
        self.lane = Lane(
            self.destination, "me", PATIENCE, Health(), METRICS, self.time, self.time,
            clock=self.time.clock, jitter=self.random.random,
        )  # fmt: skip

    def run(self) -> None:
        """Until everything is committed; an error when that isn't so within days after all is well."""
        self.time.submit(self.consume)
        checked = (0, 0)
        while self.committed < self.end:
            assert self.time.step(), f"nothing happens any more at {self.committed} of {self.end}"
            assert self.time.now < 3 * DAY_S, f"stuck at {self.committed} of {self.end}"
            state = (self.committed, len(self.durable))
            if state != checked:
                self.check()
                checked = state
        self.check()

    def consume(self) -> None:
        """The loop's turn: feed some, let time pass, or die."""
        random, writer, now = self.random, self.writer, self.time.now
        if self.deaths and random.random() < 0.02:
            self.deaths -= 1
            writer.drop()
            self.lane.drop(writer)
            self.begin()
        elif self.fed < self.end:
            for _ in range(random.randint(1, 5)):
                self.feed()
        else:
            self.apply(writer.caught_up(self.end, now))
        self.apply(self.writer.tick(now))
        self.time.submit(self.consume, after_s=random.choice([0.1, 1.0, 5.0 if now < 600 else 120.0]))

    def feed(self) -> None:
        offset = self.fed
        if offset >= self.end:
            return
        self.fed += 1
        self.apply(self.writer.pass_over(offset))
        if offset in self.markers or offset < self.writer.expected:
            return
        now = self.time.now
        if offset in self.poison:
            record = Record(0, None, b"?")
            letter = record_letter("d", CHAIN, offset, record, Reason.NOT_WIRE_FORMAT, "", 0)
            self.apply(self.writer.leave_out(letter, now))
        else:
            data = offset.to_bytes(4, "big")
            self.apply(self.writer.feed(Run(data, 1, offset, offset, 0, 0, "1", ()), now))

    def apply(self, effects: list[Effect]) -> None:
        writer = self.writer
        for effect in effects:
            match effect:
                case Pack(block):
                    self.apply(writer.packed(block, block.raw))
                case Upload(segment):
                    self.lane.upload(
                        writer,
                        lambda segment=segment: built(segment),  # type: ignore[misc]
                        lambda outcome, segment=segment: self.told(writer, segment, outcome),  # type: ignore[misc]
                    )
                case Post(posting):
                    self.post(writer, posting)
                case Commit(offset):
                    assert offset > self.committed
                    self.committed = offset
                case Rewind():
                    raise AssertionError("no schema is refused here")

    def told(self, writer: PartitionWriter, segment: SealedSegment, outcome: Durable | Rejected) -> None:
        if isinstance(outcome, Durable):
            left_out = frozenset(o for gap in segment.left_out for o in range(gap.first, gap.next))
            self.durable.append((segment.first, segment.next, left_out))
            effects = writer.stored(segment)
        else:
            assert segment.first in self.destination.refuses, "a segment was blamed for the destination"
            assert outcome.seconds >= PATIENCE.refused_s
            letter = range_letter("d", CHAIN, segment.first, segment.next, "", 0)
            effects = writer.refuse(segment, letter)
        if writer is self.writer:
            self.apply(effects)

    def post(self, writer: PartitionWriter, posting: Posting) -> None:
        def write() -> None:
            if writer.dropped and self.random.random() < 0.5:
                return
            if self.time.now < self.letters_down_until:
                self.time.submit(write, after_s=5.0)
                return
            self.letters.add((posting.letter.first, posting.letter.next))
            effects = writer.posted(posting)
            if writer is self.writer:
                self.apply(effects)

        self.time.submit(write, after_s=self.random.choice([0.0, 0.01, 2.0]))

    def check(self) -> None:
        """What is committed is in the destination or in a letter, and so is all that was left out."""
        lettered = {offset for first, nxt in self.letters for offset in range(first, nxt)}
        safe = set(lettered)
        for first, nxt, left_out in self.durable:
            assert left_out <= lettered, "a record is in no segment and in no letter"
            safe.update(range(first, nxt))
        assert safe.issuperset(range(self.committed)), "a commit passed what is safe nowhere"


def built(segment: SealedSegment) -> Segment:
    body = b"".join(packed for _, packed in segment.take()) or b"-"
    digest = hashlib.sha256(body).hexdigest()
    name = SegmentName("t", CHAIN.topic_id, 0, segment.first, segment.next, digest[:16])
    return Segment(name, body, digest)
