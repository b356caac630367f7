"""Which events are told to people, and when. Pure: time comes in, in seconds since 1970.

What is told is the state of things, not each event: of something that comes and goes a person hears once that
it is so, once that it is over, and not oftener than the interval says. One `Ledger` is one receiver's view.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from replicator.config import Notify
from replicator.control.decisions.health import HealthState
from replicator.control.events.event import Event, Kind


class Level(StrEnum):
    """How bad it is."""

    BAD = "failure"
    NOTE = "warning"
    OVER = "success"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message."""

    title: str
    body: str
    level: Level


@dataclass(frozen=True, slots=True)
class _Topic:
    """What an event is about: things with one key begin and end each other."""

    key: str
    begins: bool
    title: str
    means: str
    level: Level = Level.BAD


@dataclass(slots=True)
class _Matter:
    """One thing that may be so. `told` is what the receiver believes."""

    event: Event
    topic: _Topic
    so: bool = False
    told: bool = False
    told_at: float | None = None
    times: int = 0
    """How often it began since that was told."""


class Ledger:
    """What one receiver was told, and what it is to be told now."""

    def __init__(self, settings: Notify, installation: str) -> None:
        self._settings = settings
        self._installation = installation
        self._matters: dict[str, _Matter] = {}

    def see(self, event: Event, *, told: bool = False) -> None:
        """Take in an event; `told` when the receiver was told of it by a process before this one."""
        topic = _topic(event)
        if topic is None:
            return
        matter = self._matters.setdefault(topic.key, _Matter(event, topic))
        if topic.begins:
            matter.times += not matter.so
            matter.topic = topic
        matter.so, matter.event = topic.begins, event
        if told:
            self._note(matter, event.at_ms / 1000)

    def due(self, now: float) -> list[tuple[str, Notice]]:
        """What is to be told now, each with the key that `told` wants once it was delivered."""
        found = []
        for key, matter in self._matters.items():
            since = float("inf") if matter.told_at is None else now - matter.told_at
            repeat_s = self._settings.repeat_every_s
            if matter.told and not matter.so:
                found.append((key, self._over(matter)))
            elif (matter.so and not matter.told and since >= self._settings.min_interval_s) or (
                matter.so and matter.told and repeat_s and since >= repeat_s
            ):
                found.append((key, self._begun(matter)))
        return found

    def told(self, key: str, now: float) -> None:
        """What was due for the key was delivered."""
        self._note(self._matters[key], now)

    def _note(self, matter: _Matter, now: float) -> None:
        matter.told = matter.so
        if matter.so:
            matter.told_at, matter.times = now, 0

    def _begun(self, matter: _Matter) -> Notice:
        again = "still: " if matter.told else ""
        body = [matter.event.reason, matter.topic.means, _since(matter.event)]
        if matter.times > 1:
            body.append(f"It came and went {matter.times} times since the last notice.")
        return Notice(
            f"[{self._installation}] {again}{matter.topic.title}",
            "\n".join(line for line in body if line),
            matter.topic.level,
        )

    def _over(self, matter: _Matter) -> Notice:
        body = "\n".join(line for line in (matter.event.reason, _since(matter.event)) if line)
        return Notice(f"[{self._installation}] over: {matter.topic.title}", body, Level.OVER)


def _since(event: Event) -> str:
    return f"since {datetime.fromtimestamp(event.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC ({event.by})"


def _topic(event: Event) -> _Topic | None:
    """What people are told the event is; None for one that is nobody's business at night."""
    name = event.destination or ""
    match event.kind:
        case Kind.HEALTH if event.subject != HealthState.UNKNOWN:
            return _Topic(
                f"health/{name}",
                event.subject == HealthState.DOWN,
                f"{name} is down",
                "Its lane waits, others go on; Kafka keeps what it lacks for as long as its retention lasts. "
                "Mend it, it catches up by itself: `replicator status`.",
            )
        case Kind.PROMISE_BROKEN | Kind.PROMISE_KEPT:
            return _Topic(
                "copies",
                event.kind == Kind.PROMISE_BROKEN,
                "fewer copies than promised",
                "Nothing is lost while Kafka keeps the records, but one more failure may be one too many: "
                "`replicator status`, `replicator failover activate DEST --why …`.",
            )
        case Kind.ALERT | Kind.ALERT_OVER:
            about = f" ({name})" if name else ""
            return _Topic(
                f"alert/{event.subject}/{name}",
                event.kind == Kind.ALERT,
                f"{(event.subject or 'alert').replace('_', ' ')}{about}",
                "",
            )
        case Kind.ACTIVATED | Kind.RELEASED:
            return _Topic(
                f"duty/{name}",
                event.kind == Kind.ACTIVATED,
                f"the standby {name} takes changes",
                "It was activated to keep the promised copies, and is released when that is kept without it.",
                Level.NOTE,
            )
        case Kind.COPY_FAILED | Kind.COPIED:
            return _Topic(
                f"copy/{name}",
                event.kind == Kind.COPY_FAILED,
                f"{name} wasn't given the past",
                "It takes changes, but a restore from it alone would lack what was before: see "
                "`replicator repair`.",
            )
        case Kind.ESCALATED | Kind.LETTERS_SETTLED:
            return _Topic(
                f"letters/{name}",
                event.kind == Kind.ESCALATED,
                f"{name} lacks records that need you",
                f"Its other records flow on. `replicator dlq list {name}` names what is open.",
            )
        case Kind.PAUSED | Kind.RESUMED:
            return _Topic(
                "paused",
                event.kind == Kind.PAUSED,
                "failover is paused",
                "No standby takes over until `replicator failover resume --why …`.",
                Level.NOTE,
            )
    return None
