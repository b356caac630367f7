"""The installation at a glance, from the control topic and Kafka alone: a leader need not answer."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from replicator.config import Config
from replicator.control.events.event import Event
from replicator.control.events.log import ControlLog
from replicator.control.events.state import State
from replicator.control.events.topic import name_of, require
from replicator.control.observation.brokers import Brokers
from replicator.writer.kafka.group import group_of, topics_of


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """One destination. Times in ms since 1970; None where nothing is known."""

    name: str
    role: str
    on_duty: bool
    duty_since_ms: int | None
    duty_reason: str | None
    copied: bool | None
    """Whether an activated standby has the past, too."""
    health: str
    health_since_ms: int | None
    health_reason: str
    sinks: int
    lag: int
    point_lsn: str | None
    point_committed_ms: int | None
    point_age_s: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """All of it. `leader` is the last one that began a term; `leads` says whether its group has a member."""

    installation: str
    leader: str | None
    epoch: int
    leads: bool
    min_copies: int
    broken_since_ms: int | None
    broken_reason: str | None
    paused_by: str | None
    destinations: tuple[DestinationStatus, ...]
    alerts: tuple[dict[str, Any], ...]
    refused: tuple[str, ...]
    drill: dict[str, Any] | None = None
    """The last drill that control held: `state`, `at_ms`, `words`, and its figures."""

    @property
    def well(self) -> bool:
        """Whether the promise is kept, somebody leads, and no alert is raised."""
        return self.leads and self.broken_since_ms is None and not self.alerts and not self.refused

    def as_dict(self) -> dict[str, Any]:
        """The status as JSON takes it."""
        return {"well": self.well, **asdict(self)}


def read(config: Config) -> Status:
    """The status now; `KafkaError` when Kafka doesn't answer, or has no control topic yet."""
    require(config)
    brokers = Brokers(config.kafka, f"replicator-status.{config.installation}")
    topic = name_of(config.installation)
    log = ControlLog(config)
    try:
        log.catch_up()
    finally:
        log.close()
    state = log.state
    places = brokers.partitions(topics_of(config.installation))
    ends = brokers.stable_ends(places)
    destinations = []
    for name, place in sorted(config.destinations.items()):
        commits = brokers.commits(group_of(config.installation, name), places)
        lag = sum(max(0, end - (commits[at].offset if at in commits else 0)) for at, end in ends.items())
        sinks = len(brokers.members(group_of(config.installation, name)))
        destinations.append(_destination(name, place.role, state, lag, sinks))
    broken, leader = state.broken, state.leader
    return Status(
        config.installation,
        None if leader is None else leader.by,
        state.epoch,
        bool(brokers.members(topic)),
        config.control.min_copies,
        None if broken is None else broken.at_ms,
        None if broken is None else broken.reason,
        None if state.paused is None else f"{state.paused.by}: {state.paused.reason}",
        tuple(destinations),
        tuple(
            {
                "name": each.subject,
                "destination": each.destination,
                "since_ms": each.at_ms,
                "words": each.reason,
            }
            for each in state.alerts.values()
        ),
        tuple(log.refused),
        None if state.drilled is None else _drill(state.drilled),
    )


def _drill(event: Event) -> dict[str, Any]:
    return {"state": event.subject, "at_ms": event.at_ms, "words": event.reason, **event.facts}


def _destination(name: str, role: str, state: State, lag: int, sinks: int) -> DestinationStatus:
    duty, health, point = state.duties.get(name), state.health.get(name), state.points.get(name)
    on_duty = role == "active" or state.active(name)
    return DestinationStatus(
        name,
        role,
        on_duty,
        None if duty is None else duty.since_ms,
        None if duty is None else duty.event.reason,
        duty.copied if duty is not None and duty.active else None,
        "unknown" if health is None else str(health.subject),
        None if health is None else health.at_ms,
        "" if health is None else health.reason,
        sinks,
        lag if on_duty else 0,
        None if point is None else f"{point.lsn >> 32:X}/{point.lsn & 0xFFFFFFFF:X}",
        None if point is None else point.committed_ms,
        None if point is None else max(0.0, time.time() - point.committed_ms / 1000),
    )
