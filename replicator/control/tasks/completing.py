"""The past of an activated standby: what it lacks is copied from a destination that has it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from replicator.config import Config
from replicator.control.events.event import Beginning
from replicator.control.observation.kafka_view import KafkaView
from replicator.errors import ReplicatorError
from replicator.repair import copy_missing
from replicator.storage import open_store
from replicator.writer.process.pool import Pool, Supervisor

_RETRY_S = 30.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of one copy. `failure` is None when the standby now has all that the source has."""

    standby: str
    activation: str
    """The id of the event since which it lacked the past."""
    source: str
    segments: int
    size: int
    failure: str | None


def sources(candidates: Sequence[str], begins: Sequence[Beginning], view: KafkaView) -> list[str]:
    """Those of the candidates that have everything before the standby's beginnings, in their order. Pure.

    A source that is itself behind where the standby began would leave a hole between the two.
    """
    return [
        name
        for name in candidates
        if all(
            begin.offset == 0
            or (
                (committed := view.commits.get(name, {}).get((begin.topic, begin.partition))) is not None
                and committed.offset >= begin.offset
                and committed.topic_id == begin.topic_id
            )
            for begin in begins
        )
    ]


class Completer:
    """Copies in a thread of its own, one standby at a time; may be ended and begun again at any time."""

    def __init__(self, config: Config, supervisor: Supervisor) -> None:
        self._config = config
        self._pool = Pool("complete-standby", 1, supervisor)
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._done: list[Completion] = []
        self._not_before: dict[str, float] = {}

    def want(self, standby: str, activation: str, candidates: Sequence[str], now: float) -> None:
        """Complete the standby from the first candidate, unless that is being done; `now` is monotonic.

        `activation` is the id of the event that made it serve.
        """
        if not candidates or standby in self._busy or now < self._not_before.get(standby, 0.0):
            return
        self._busy.add(standby)
        self._not_before[standby] = now + _RETRY_S
        source = candidates[0]
        _log.info("copying the past", standby=standby, source=source)
        self._pool.submit(lambda: self._copy(standby, activation, source))

    def take(self) -> list[Completion]:
        """What ended since."""
        with self._lock:
            done, self._done = self._done, []
        for each in done:
            self._busy.discard(each.standby)
        return done

    def close(self) -> None:
        """Copy no more; what runs now ends, and nobody hears of it."""
        self._pool.close()

    def _copy(self, standby: str, activation: str, source: str) -> None:
        try:
            copied = copy_missing(
                open_store(self._config.destination(source)), open_store(self._config.destination(standby))
            )
            failure = None
            if not copied.complete:
                damaged = f"; damaged there: {copied.damaged[0]}" if copied.damaged else ""
                failure = f"{source} couldn't give {len(copied.lost)} ranges{damaged}"
            done = Completion(standby, activation, source, copied.segments, copied.size, failure)
        except ReplicatorError as error:
            done = Completion(standby, activation, source, 0, 0, error.message)
        with self._lock:
            self._done.append(done)
