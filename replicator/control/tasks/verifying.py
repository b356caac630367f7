"""Verification on a schedule: every destination on duty, one after the other, gently."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from replicator.config import Config
from replicator.control.decisions.alerts import DAMAGED, at_once, damage
from replicator.control.events.event import Event, Kind
from replicator.control.observation.kafka_view import KafkaView
from replicator.deadletter.topic import LetterTopic
from replicator.errors import ReplicatorError
from replicator.points import beginnings
from replicator.segment.name import Chain
from replicator.verify import Depth, Options, Report, run
from replicator.writer.process.pool import Pool, Supervisor

_THREADS = 2
"""It has a day; the lanes' uploads come first."""
_RETRY_S = 600.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verified:
    """What one verification found; `counts` by kind of trouble, `words` for people."""

    destination: str
    damaged: bool
    segments: int
    size: int
    counts: Mapping[str, int]
    words: str

    def events(self, raised: Mapping[str, Event], at_ms: int, by: str) -> list[Event]:
        """As the control topic tells it, with the alert that begins or ends with it. Pure."""
        facts = {kind: float(count) for kind, count in self.counts.items()}
        facts |= {"segments": float(self.segments), "bytes": float(self.size)}
        mine = {key: event for key, event in raised.items() if event.destination == self.destination}
        found = [damage(self.destination, self.words)] if self.damaged else []
        return [
            Event(Kind.VERIFIED, at_ms, by, self.words, self.destination, facts=facts),
            *at_once(mine, found, [DAMAGED], at_ms, by),
        ]


def told(report: Report) -> Verified:
    """The report as an event tells it. Pure."""
    found = {kind: count for kind, count in report.counts.items() if count}
    words = f"{report.segments} segments, {report.size} bytes: "
    words += ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in found.items()) or "all is well"
    harmful = next((finding for finding in report.findings if finding.kind.harmful), None)
    if harmful is not None:
        words += f". The first: {harmful}"
    return Verified(report.destination, report.damaged, report.segments, report.size, report.counts, words)


def expected_of(view: KafkaView, destination: str) -> dict[Chain, int]:
    """The offsets below which the destination's chains must be whole: what its group has committed. Pure."""
    commits = view.commits.get(destination, {})
    return {
        chain: committed.offset
        for chain in view.ends
        if (committed := commits.get(chain.place)) is not None and committed.topic_id == chain.topic_id
    }


class Verifier:
    """Verifies in a thread of its own, one destination at a time."""

    def __init__(self, config: Config, supervisor: Supervisor) -> None:
        self._config = config
        self._pool = Pool("verify", 1, supervisor)
        self._lock = threading.Lock()
        self._busy = False
        self._done: list[Verified] = []
        self._not_before: dict[str, float] = {}

    def want(self, destination: str, view: KafkaView, now: float) -> None:
        """Have the destination verified unless one is being verified; `now` is monotonic."""
        if self._busy or now < self._not_before.get(destination, 0.0):
            return
        self._busy = True
        expected = expected_of(view, destination)
        self._pool.submit(lambda: self._verify(destination, expected, now + _RETRY_S))

    def take(self) -> list[Verified]:
        """What ended since."""
        with self._lock:
            done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Verify no more; what runs now ends, and nobody hears of it."""
        self._pool.close()

    def _verify(self, destination: str, expected: Mapping[Chain, int], again_at: float) -> None:
        control = self._config.control
        depth = Depth.BYTES if control.verify_sample else Depth.NAMES
        options = Options(depth, control.verify_sample or None, threads=_THREADS)
        try:
            # Read after the commits: whoever commits past a record has written its letter before.
            letters = LetterTopic(self._config, destination).read().open_ranges()
            begins = beginnings.of_destination(self._config, destination)
            report = run(
                self._config, destination, options, expected=expected, letters=letters, begins=begins
            )
            with self._lock:
                self._done.append(told(report))
        except ReplicatorError as error:
            # That it doesn't answer is the probes' news; what it holds isn't known.
            self._not_before[destination] = again_at
            _log.warning("not verified", destination=destination, error=error.message)
        finally:
            self._busy = False
