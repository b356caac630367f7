"""The state of an installation as its control topic tells it: a pure fold over events.

There is no other state. A leader that takes over reads the topic and knows what its predecessor knew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from replicator.control.events.event import UNLED, Event, Kind
from replicator.points import RestorePoint


@dataclass(frozen=True, slots=True)
class Duty:
    """Whether a destination was activated, since when (milliseconds since 1970), and by whom."""

    active: bool
    since_ms: int
    manual: bool
    event: Event
    copied: bool = False
    """Whether it was given what it lacked of the past."""


@dataclass(frozen=True, slots=True)
class State:
    """What the events say, up to one of them. Times are in milliseconds since 1970."""

    epoch: int = 0
    number: int = 0
    leader: Event | None = None
    duties: Mapping[str, Duty] = field(default_factory=dict)
    health: Mapping[str, Event] = field(default_factory=dict)
    alerts: Mapping[str, Event] = field(default_factory=dict)
    broken: Event | None = None
    """The event since which the promise isn't kept; None while it is."""
    paused: Event | None = None
    asked: Mapping[str, Event] = field(default_factory=dict)
    """What people asked for and no leader has answered, by id."""
    verified: Mapping[str, Event] = field(default_factory=dict)
    """The newest verification of each destination."""
    drilled: Event | None = None
    """The newest drill."""
    drill_passed: Event | None = None
    """The newest one that passed."""
    upkept: Mapping[str, Event] = field(default_factory=dict)
    """The newest of each work in each destination, by `upkeep_key`."""
    upkept_well: Mapping[str, Event] = field(default_factory=dict)
    """The newest of each that succeeded."""
    points: Mapping[str, RestorePoint] = field(default_factory=dict)
    """The newest restore point of each destination."""

    def active(self, destination: str) -> bool:
        """Whether the destination was activated and not released since."""
        duty = self.duties.get(destination)
        return duty is not None and duty.active


def refusal(state: State, event: Event) -> str | None:
    """Why the event mustn't count after those that `state` holds; None when it is in order.

    Kafka fences a former leader's producer, so this is seen only when something else writes to the topic.
    """
    if event.kind in UNLED:
        return None
    if event.epoch < state.epoch:
        return f"epoch {event.epoch} was over: epoch {state.epoch} leads"
    if event.epoch > state.epoch and event.kind != Kind.LEADER:
        return f"epoch {event.epoch} hasn't begun: epoch {state.epoch} leads"
    if event.epoch == state.epoch and event.number <= state.number:
        return f"number {event.number} of epoch {event.epoch} is out of order: {state.number} was before it"
    return None


def apply(state: State, event: Event) -> State:
    """The state after the event; the same when the event is out of order or of an unknown kind."""
    if refusal(state, event) is not None:
        return state
    if event.kind == Kind.ASKED:
        return replace(state, asked={**state.asked, event.id: event})
    if event.kind in UNLED:
        return state
    state = replace(state, epoch=event.epoch, number=event.number)
    if event.answers in state.asked:
        state = replace(state, asked={k: v for k, v in state.asked.items() if k != event.answers})
    return _apply(state, event, event.destination or "")


def _apply(state: State, event: Event, name: str) -> State:
    match event.kind:
        case Kind.LEADER:
            return replace(state, leader=event)
        case Kind.HEALTH:
            return replace(state, health={**state.health, name: event})
        case Kind.ACTIVATED:
            duty = Duty(True, event.at_ms, event.answers is not None, event)
            return replace(state, duties={**state.duties, name: duty})
        case Kind.RELEASED:
            duty = Duty(False, event.at_ms, event.answers is not None, event)
            return replace(state, duties={**state.duties, name: duty})
        case Kind.COPIED:
            return replace(state, duties=_copied(state.duties, name))
        case Kind.VERIFIED:
            return replace(state, verified={**state.verified, name: event})
        case Kind.DRILLED:
            passed = event if event.facts.get("passed") else state.drill_passed
            return replace(state, drilled=event, drill_passed=passed)
        case Kind.UPKEPT:
            key, well = upkeep_key(str(event.subject), name), state.upkept_well
            if event.facts.get("passed"):
                well = {**well, key: event}
            return replace(state, upkept={**state.upkept, key: event}, upkept_well=well)
        case Kind.PROMISE_BROKEN:
            return replace(state, broken=event)
        case Kind.PROMISE_KEPT:
            return replace(state, broken=None)
        case Kind.PAUSED:
            return replace(state, paused=event)
        case Kind.RESUMED:
            # People hand everything back: what they held by hand is decided like the rest again.
            freed = {each: replace(duty, manual=False) for each, duty in state.duties.items()}
            return replace(state, paused=None, duties=freed)
        case Kind.ALERT:
            return replace(state, alerts={**state.alerts, alert_key(event): event})
        case Kind.ALERT_OVER:
            over = alert_key(event)
            return replace(state, alerts={k: v for k, v in state.alerts.items() if k != over})
    return state


def apply_point(state: State, point: RestorePoint) -> State:
    """The state with the point, unless the destination has a newer one."""
    newest = state.points.get(point.destination)
    if newest is not None and newest.lsn >= point.lsn:
        return state
    return replace(state, points={**state.points, point.destination: point})


def alert_key(event: Event) -> str:
    """What an alert is about: its name, and the destination if it has one."""
    return f"{event.subject}/{event.destination}" if event.destination else str(event.subject)


def upkeep_key(work: str, destination: str) -> str:
    """Where the state has the newest event about the work in the destination."""
    return f"{work}/{destination}"


def _copied(duties: Mapping[str, Duty], name: str) -> Mapping[str, Duty]:
    duty = duties.get(name)
    return duties if duty is None else {**duties, name: replace(duty, copied=True)}
