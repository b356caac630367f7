"""Dead letters that need a person, told to the control topic by who finds them: the replay, not a leader."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import structlog

from replicator.config import Config
from replicator.control.events import topic
from replicator.control.events.event import Event, Kind
from replicator.deadletter.letter import Letter
from replicator.errors import ReplicatorError

_log = structlog.get_logger()


class LetterEvents:
    """A listener of the replay. Where control has never run there is no topic, and nothing is told."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def escalated(self, escalations: Sequence[Letter]) -> None:
        """See `replay.listener`. One event for all of them: a thousand letters are one matter."""
        self._tell(escalation(escalations, _now_ms()))

    def none_left(self, destination: str, by: str) -> None:
        """See `replay.listener`."""
        words = "every dead letter that needed a person is settled"
        self._tell(Event(Kind.LETTERS_SETTLED, _now_ms(), by, words, destination))

    def _tell(self, event: Event) -> None:
        try:
            if topic.exists(self._config):
                topic.send(self._config, event)
        except ReplicatorError as error:
            _log.warning(
                "control's topic wasn't told; the letters' own topic, the log and the metrics have it",
                kind=str(event.kind),
                error=error.message,
            )


def escalation(escalations: Sequence[Letter], now_ms: int) -> Event:
    """The event about these, of one destination. The same letters make the same id. Pure."""
    first, count = escalations[0], len(escalations)
    what = "a dead letter" if count == 1 else f"{count} dead letters"
    ids = "\n".join(each.id for each in escalations)
    return Event(
        Kind.ESCALATED,
        now_ms,
        first.by or "",
        f"{what} can't be closed without you: {first.destination} lacks {first}"
        f"{f' and {count - 1} more' if count > 1 else ''}, and a restore that needs them is refused. "
        f"{first.detail} Mend what that names; or, if nobody misses the records: `replicator dlq discard "
        f"{first.destination} {first.id} --reason …`",
        first.destination,
        first.id,
        facts={"letters": float(count)},
        id=hashlib.sha256(f"escalation\n{ids}".encode()).hexdigest()[:32],
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
