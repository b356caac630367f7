"""An installation in simulated time: destinations that fail and come back, lanes that move, and control.

Only the world is made up: health, standing, decisions, state and beginnings are those of production.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from replicator.config import Control, Policy
from replicator.control.decisions.beginning import beginnings
from replicator.control.decisions.decide import decide, on_duty
from replicator.control.decisions.health import HealthState
from replicator.control.decisions.standing import Observation, Standing, Verdict
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State, apply
from replicator.segment.name import Chain
from replicator.writer.kafka.commits import Committed

CHAIN = Chain("w.public.guests", "A" * 22, 0)
PLACE = (CHAIN.topic, CHAIN.partition)
TICK_S = 5.0
RATE = 50
"""Records that are produced in a tick; a lane that catches up takes ten times as many."""


@dataclass
class Bucket:
    """A destination as it really is: whether it works, and which offsets it holds."""

    up: bool = True
    sink_runs: bool = True
    committed: int | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def take(self, end: int) -> None:
        start = self.committed or 0
        upto = min(end, start + 10 * RATE)
        if upto > start:
            if self.ranges and self.ranges[-1][1] == start:
                start = self.ranges.pop()[0]
            self.ranges.append((start, upto))
            self.committed = upto

    def holds(self, offset: int) -> bool:
        return any(first <= offset < upto for first, upto in self.ranges)


class World:
    """Time goes by in ticks of five seconds; every decision is noted."""

    def __init__(self, policies: Mapping[str, Policy], settings: Control) -> None:
        self.policies, self.settings = policies, settings
        self.now = 1_000_000.0
        self.end = 0
        self.buckets = {name: Bucket() for name in policies}
        self.state = State()
        self.decided: list[Event] = []
        self.quiet = False
        """Whether the source has nothing to say any more."""
        self._quiet_s = 0.0
        self._number = 0
        self.lead()

    def lead(self) -> None:
        """Another process takes over: it knows what the topic says, and nothing else."""
        self.standing = {
            name: Standing(
                self.settings,
                self.now,
                was_down=name in self.state.health and self.state.health[name].subject == HealthState.DOWN,
            )
            for name in self.policies
        }
        self._epoch, self._number = self.state.epoch + 1, 0
        self._write(Event(Kind.LEADER, self._ms(), "c"))

    def tick(self) -> None:
        self.now += TICK_S
        self.end += 0 if self.quiet else RATE
        self._quiet_s = self._quiet_s + TICK_S if self.quiet else 0.0
        duty = on_duty(self.state, self.policies)
        for name, bucket in self.buckets.items():
            if bucket.up and bucket.sink_runs and name in duty:
                bucket.take(self.end)
        seen = self._look(duty)
        for intent in decide(self.state, self.policies, seen, self.settings, self.now, "c"):
            event = intent.event
            if event.kind == Kind.ACTIVATED:
                event = self._activate(event, intent.failed)
            self._write(event)
        self.seen = seen

    def _look(self, duty: list[str]) -> dict[str, Observation]:
        seen = {}
        for name, standing in self.standing.items():
            bucket = self.buckets[name]
            before = standing.health.read().state
            if bucket.up:
                standing.health.succeeded(self.now, 0.1)
            else:
                standing.health.failed(self.now, "refused")
            committed = bucket.committed or 0
            standing.lane.see(self.now, committed, self.end - committed)
            standing.rpo_s = (self.end - committed) / RATE * TICK_S + self._quiet_s
            seen[name] = standing.observe(self.now, on_duty=name in duty)
            if seen[name].health is not before:
                self._write(
                    Event(Kind.HEALTH, self._ms(), "c", destination=name, subject=str(seen[name].health))
                )
        return seen

    def _activate(self, event: Event, failed: tuple[str, ...]) -> Event:
        groups = [self._commits(name) for name in failed]
        found = beginnings([CHAIN], groups, {PLACE: 0})
        assert event.destination is not None
        [beginning] = found.offsets
        for name in failed:
            assert beginning.offset <= (self.buckets[name].committed or 0), "that would be a gap"
        self.buckets[event.destination].committed = beginning.offset
        self.standing[event.destination].lane.begin(self.now)
        return replace(event, offsets=found.offsets)

    def _commits(self, name: str) -> dict[tuple[str, int], Committed]:
        committed = self.buckets[name].committed
        return {} if committed is None else {PLACE: Committed(committed, "f", "w", CHAIN.topic_id)}

    def _write(self, event: Event) -> None:
        self._number += 1
        stamped = replace(event, epoch=self._epoch, number=self._number)
        self.state = apply(self.state, stamped)
        self.decided.append(stamped)

    def ask(self, event: Event) -> None:
        self.state = apply(self.state, event)

    def _ms(self) -> int:
        return int(self.now * 1000)

    def keeping(self) -> list[str]:
        return [
            name for name in on_duty(self.state, self.policies) if self.seen[name].verdict is Verdict.KEEPING
        ]
