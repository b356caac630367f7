"""What stands in the control topic, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """The kinds of events that this version knows; others are shown and left alone."""

    LEADER = "leader"
    """A process leads from here on; its epoch is one more than the former's."""
    HEALTH = "health"
    """A destination's health changed to `subject`."""
    ACTIVATED = "activated"
    """A standby takes changes, from `offsets` on."""
    RELEASED = "released"
    """A standby takes changes no longer."""
    PROMISE_BROKEN = "promise_broken"
    """Fewer than min_copies destinations keep every change."""
    PROMISE_KEPT = "promise_kept"
    ALERT = "alert"
    """Something goes out of reach unless somebody acts; `subject` is its name."""
    ALERT_OVER = "alert_over"
    COPIED = "copied"
    """An activated destination was given what it lacked of the past, and is a restore source by itself."""
    COPY_FAILED = "copy_failed"
    VERIFIED = "verified"
    """What a destination holds was looked at; the counts of each kind of trouble are the event's facts."""
    DRILLED = "drilled"
    """A drill was held; `subject` is how it ended, the event's facts have its figures."""
    UPKEPT = "upkept"
    """Bases were made in a destination, or what is too old removed; `subject` is which, see `upkeep.Work`."""
    PAUSED = "paused"
    """Nothing is activated or released but by people."""
    RESUMED = "resumed"
    ASKED = "asked"
    """A person asks for `subject` (activate, release, pause, resume)."""
    REFUSED = "refused"
    """What was asked for, in the event that this one answers, isn't done."""
    ESCALATED = "escalated"
    """The replay gives dead letters up: they need a person. `subject` is the first one's id."""
    LETTERS_SETTLED = "letters_settled"
    """No dead letter of the destination needs a person any more."""


UNLED = (Kind.ASKED, Kind.ESCALATED, Kind.LETTERS_SETTLED)
"""Written by others than leaders, in any epoch."""


class Command(StrEnum):
    """What a person may ask for."""

    ACTIVATE = "activate"
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, order=True)
class Beginning:
    """Where an activated destination begins in a topic-partition."""

    topic: str
    topic_id: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `epoch` and `number` order what leaders write; both are 0 for the kinds of `UNLED`."""

    kind: str
    at_ms: int
    by: str
    reason: str = ""
    destination: str | None = None
    subject: str | None = None
    answers: str | None = None
    offsets: tuple[Beginning, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    epoch: int = 0
    number: int = 0
    id: str = field(default_factory=lambda: uuid4().hex)

    def fields(self) -> dict[str, Any]:
        """As the Avro schema `control_event` has it."""
        return {
            "id": self.id,
            "kind": str(self.kind),
            "at": self.at_ms,
            "epoch": self.epoch,
            "number": self.number,
            "by": self.by,
            "destination": self.destination,
            "subject": self.subject,
            "reason": self.reason,
            "answers": self.answers,
            "offsets": [
                {"topic": o.topic, "topic_id": o.topic_id, "partition": o.partition, "offset": o.offset}
                for o in self.offsets
            ],
            "facts": dict(self.facts),
        }

    @classmethod
    def from_fields(cls, said: Mapping[str, Any]) -> Event:
        """The event of a decoded record."""
        return cls(
            kind=said["kind"],
            at_ms=millis(said["at"]),
            by=said["by"],
            reason=said["reason"],
            destination=said["destination"],
            subject=said["subject"],
            answers=said["answers"],
            offsets=tuple(Beginning(**each) for each in said["offsets"]),
            facts=dict(said["facts"]),
            epoch=said["epoch"],
            number=said["number"],
            id=said["id"],
        )


def millis(moment: datetime | int) -> int:
    """Milliseconds since 1970 of what an Avro reader gives for timestamp-millis, exactly."""
    return moment if isinstance(moment, int) else (moment - _EPOCH) // timedelta(milliseconds=1)
