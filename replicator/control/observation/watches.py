"""Connect, the slot, and Kafka's retention, looked at from time to time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
import structlog

from replicator.config import Config
from replicator.control.decisions.alerts import (
    Alert,
    of_connector,
    of_retention,
    of_silence,
    of_slot,
    of_snapshot,
)
from replicator.control.observation.brokers import Brokers
from replicator.errors import SourceError
from replicator.segment.name import Place
from replicator.source import continuity, notifications
from replicator.source.connect_api import Connect, ConnectError
from replicator.source.connector import connector_name, slot_name
from replicator.source.database import connect as connect_database
from replicator.source.running import state as connector_state
from replicator.writer.kafka.group import group_of, topics_of

_log = structlog.get_logger()
_CONNECTOR = ("connector_absent", "connector_failed", "connector_stopped", "connect_unreachable")
_SLOT = ("slot_missing", "slot_lost", "slot_at_risk", "wal_retained", "source_unreachable")
_RETENTION = ("records_gone", "retention_near")
_SNAPSHOT = ("snapshot_unusable",)
_SILENCE = ("connector_silent",)
NAMES = (*_CONNECTOR, *_SLOT, *_RETENTION, *_SNAPSHOT, *_SILENCE)
"""Every alert that control can raise."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: what is wrong, which names were looked for, and figures (None where they weren't had)."""

    alerts: tuple[Alert, ...]
    watched: tuple[str, ...]
    connector_runs: bool
    retained_wal: int | None
    retention_s: Mapping[str, float]
    """The shortest time for which Kafka keeps a record of any topic, by destination; none when for ever."""


class Stillness:
    """For how long something that should move hasn't."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._since = 0.0

    def seconds(self, seen: int | None, now: float) -> float:
        """Seconds since it was last seen to be another one; 0 the first time, and as long as it needn't move
        (None)."""
        if seen is None or seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since


class Watches:
    """Everything that is watched from afar. For one thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._brokers = Brokers(config.kafka, f"replicator-watch.{config.installation}")
        self._snapshot_stands = False
        self._sent = Stillness()

    def look(self, on_duty: tuple[str, ...]) -> Seen:
        """One look at all of it; what can't be reached is an alert, but Kafka: that is a `KafkaError`."""
        alerts: list[Alert] = []
        watched: list[str] = [*_RETENTION]
        runs: bool | None = None
        retained = None
        connector = connector_name(self._config)
        try:
            state = connector_state(Connect.of(self._config).status(connector))
            alerts += of_connector(state, connector)
            runs = state.runs
            watched += _CONNECTOR
        except ConnectError as error:
            alerts.append(
                Alert(
                    "connect_unreachable",
                    f"Connect doesn't answer, so whether changes are captured isn't known. {error.message}",
                )
            )
            watched.append("connect_unreachable")
        try:
            with connect_database(self._config.source.dsn.get_secret_value()) as connection:
                slot = continuity.read_slot(connection, slot_name(self._config))
            alerts += of_slot(slot, slot_name(self._config), self._config.control)
            retained = None if slot is None else slot.behind
            watched += _SLOT
        except (SourceError, psycopg.Error) as error:
            words = error.message if isinstance(error, SourceError) else f"The source broke off: {error}"
            alerts.append(
                Alert(
                    "source_unreachable",
                    f"{words} Nothing new is captured while it is away; what was is safe.",
                )
            )
            watched.append("source_unreachable")
        if not self._snapshot_stands:
            try:
                alerts += self._of_snapshot()
                watched += _SNAPSHOT
            except SourceError as error:
                _log.warning("the notifications of snapshots can't be read", error=error.message)
        places = self._brokers.partitions(topics_of(self._config.installation))
        ends = self._brokers.stable_ends(places)
        silent_s = self._sent.seconds(sum(ends.values()) if runs else None, time.monotonic())
        if runs is not None:
            alerts += of_silence(silent_s, connector, self._config.control, self._config.source.heartbeat_s)
            watched += _SILENCE
        found, kept_s = self._retention(on_duty, places, ends)
        return Seen(tuple(alerts + found), tuple(watched), bool(runs), retained, kept_s)

    def _of_snapshot(self) -> list[Alert]:
        told = list(notifications.read(self._config))
        found = of_snapshot(told)
        self._snapshot_stands = not found and any(row["type"] == "COMPLETED" for row in told)
        return found

    def _retention(
        self, on_duty: tuple[str, ...], places: list[Place], ends: dict[Place, int]
    ) -> tuple[list[Alert], dict[str, float]]:
        brokers, settings = self._brokers, self._config.control
        retention = brokers.retention_ms({topic for topic, _ in places})
        beginnings = brokers.beginnings(places)
        soon = self._soon([place for place in places if retention.get(place[0], -1) >= 0], retention)
        alerts = []
        for name in on_duty:
            commits = brokers.commits(group_of(self._config.installation, name), places)
            alerts += of_retention(name, commits, ends, beginnings, soon, settings)
        finite = [kept for kept in retention.values() if kept >= 0]
        return alerts, dict.fromkeys(on_duty, min(finite) / 1000) if finite else {}

    def _soon(self, places: list[Place], retention: Mapping[str, int]) -> dict[Place, int]:
        """The first offset of each that outlives the alert's time; the end where none does."""
        found: dict[Place, int] = {}
        by_age: dict[int, list[Place]] = {}
        for place in places:
            by_age.setdefault(retention[place[0]], []).append(place)
        alert_ms = self._config.control.retention_alert_h * 3_600_000
        for kept_ms, group in by_age.items():
            # Retention that is shorter than the alert's time would alert always: half of it, then.
            moment_ms = int(time.time() * 1000 - kept_ms + min(alert_ms, kept_ms / 2))
            found |= self._brokers.first_after(group, moment_ms)
        return found
