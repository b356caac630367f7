"""What goes out of reach unless somebody acts, said while there is still time. Pure.

Each alert says what happened, what it means for the data, and what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator.config import Control
from replicator.control.events.event import Event, Kind
from replicator.debezium import snapshots
from replicator.errors import ReplicatorError
from replicator.segment.name import Place
from replicator.source.continuity import Slot
from replicator.source.running import State as ConnectorState
from replicator.source.running import shortened
from replicator.writer.kafka.commits import Committed

DAMAGED = "damaged"
"""The name of the alert about what a verification found."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong now. `name` and `destination` say which; the words may change meanwhile."""

    name: str
    words: str
    destination: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """As `state.alert_key` has it."""
        return f"{self.name}/{self.destination}" if self.destination else self.name


def of_connector(state: ConnectorState, name: str) -> list[Alert]:
    """Connect's connector and tasks."""
    if state.runs:
        return []
    if state.connector == "ABSENT":
        return [
            Alert(
                "connector_absent",
                f"Connect has no connector {name}: nothing is captured. Its slot, if it is there, keeps the "
                "changes and retains WAL. `replicator connect apply` makes it.",
            )
        ]
    if state.failed:
        return [
            Alert(
                "connector_failed",
                f"{name} has failed ({state}): nothing is captured, the slot keeps changes and WAL grows. "
                f"`replicator connect restart` once the cause is cured: {shortened(state.trace)[:400]}",
            )
        ]
    return [
        Alert(
            "connector_stopped",
            f"{name} doesn't run ({state}): nothing is captured, the slot keeps the changes and WAL grows. "
            "`replicator connect resume`, unless somebody paused it on purpose.",
        )
    ]


def of_silence(silent_s: float, name: str, settings: Control, heartbeat_s: float) -> list[Alert]:
    """A connector that runs as far as Connect knows, after so long without anything of it in Kafka."""
    if silent_s <= max(settings.silent_after_s, 3 * heartbeat_s):
        return []
    return [
        Alert(
            "connector_silent",
            f"{name} is RUNNING, but for {silent_s:.0f} s nothing of it has reached Kafka, not even a "
            "heartbeat: nothing is captured, the slot keeps changes and WAL grows. pg_stat_activity says "
            "whether it waits for a lock; otherwise `replicator connect restart`, and if that doesn't help a "
            "restart of the Connect worker.",
            facts={"silent_s": silent_s},
        )
    ]


def of_snapshot(told: Iterable[Mapping[str, Any]]) -> list[Alert]:
    """The initial snapshot, from Debezium's notifications in their order."""
    try:
        snapshot = snapshots.read(told)
        doubt = None if snapshot is None else snapshot.doubt
    except ReplicatorError as error:
        doubt = error.message
    if doubt is None:
        return []
    return [
        Alert(
            "snapshot_unusable",
            f"{doubt} No restore works then, whatever restore points say: {snapshots.ANEW}.",
        )
    ]


def of_slot(slot: Slot | None, name: str, settings: Control) -> list[Alert]:
    """The replication slot and the WAL that it retains."""
    if slot is None:
        return [
            Alert(
                "slot_missing",
                f"The slot {name} isn't there: changes from now on are captured by nobody. "
                "`replicator doctor` says what was lost; a new snapshot is a new beginning.",
            )
        ]
    if slot.wal_status == "lost":
        return [
            Alert(
                "slot_lost",
                f"The slot {name} is lost: PostgreSQL removed WAL that it still needed. Changes are missing "
                "in every destination from there on; earlier moments stay restorable. Take a new snapshot.",
            )
        ]
    found = []
    if slot.wal_status == "unreserved" or (
        slot.safe_wal_size is not None and slot.safe_wal_size < settings.wal_alert_bytes // 10
    ):
        found.append(
            Alert(
                "slot_at_risk",
                f"The slot {name} may be lost soon: {_size(slot.safe_wal_size or 0)} of WAL may still be "
                "written. Then changes are lost for good. Get the connector to run, or raise "
                "max_slot_wal_keep_size.",
                facts={"safe_wal_bytes": float(slot.safe_wal_size or 0)},
            )
        )
    if slot.behind > settings.wal_alert_bytes:
        found.append(
            Alert(
                "wal_retained",
                f"The slot {name} retains {_size(slot.behind)} of WAL (alert at "
                f"{_size(settings.wal_alert_bytes)}): nothing is lost, but the source's disk fills, and a "
                "full disk stops it. Find out why the connector is behind.",
                facts={"retained_bytes": float(slot.behind)},
            )
        )
    return found


def of_retention(
    destination: str,
    commits: Mapping[Place, Committed],
    ends: Mapping[Place, int],
    beginnings: Mapping[Place, int],
    soon: Mapping[Place, int],
    settings: Control,
) -> list[Alert]:
    """What Kafka dropped, or will drop, before the destination has it.

    `soon` is the offset of the first record of each partition that Kafka keeps for longer than
    `retention_alert_h` from now; what lies below it goes within that time.
    """
    gone, going = [], []
    for place, end in sorted(ends.items()):
        at = commits[place].offset if place in commits else beginnings.get(place, 0)
        if at >= end:
            continue
        if at < beginnings.get(place, 0):
            gone.append((place, beginnings[place] - at))
        elif at < soon.get(place, 0):
            going.append((place, min(soon[place], end) - at))
    found = []
    if gone:
        found.append(
            Alert(
                "records_gone",
                f"Kafka no longer has {sum(n for _, n in gone)} offsets that {destination} lacks "
                f"({_places(gone)}): it has a hole. `replicator repair {destination} --from …` copies them "
                "from a destination that has them.",
                destination,
                {"offsets": float(sum(n for _, n in gone))},
            )
        )
    if going:
        found.append(
            Alert(
                "retention_near",
                f"Within {settings.retention_alert_h:g} h Kafka drops {sum(n for _, n in going)} offsets "
                f"that {destination} lacks ({_places(going)}). Mend the destination, or raise retention.ms "
                "of those topics; after that they must be copied from another destination.",
                destination,
                {"offsets": float(sum(n for _, n in going))},
            )
        )
    return found


def damage(destination: str, words: str) -> Alert:
    """What a verification found that a restore could meet."""
    return Alert(
        DAMAGED,
        f"{destination} doesn't hold what it should: {words}. A restore from it alone may be refused; other "
        f"destinations are not affected. `replicator repair {destination} --from …` mends it.",
        destination,
    )


def news(
    raised: Mapping[str, Event],
    now: Iterable[Alert],
    suspected: Collection[str],
    watched: Collection[str],
    at_ms: int,
    by: str,
) -> list[Event]:
    """The events that make the topic's alerts those of now: the new ones, and those that are over.

    An alert is raised when it was `suspected` the time before, too: a task that is just being moved is none.
    Only alerts of the names in `watched` can be over: of others nothing was seen this time.
    """
    current = {alert.key: alert for alert in now}
    events = [
        Event(Kind.ALERT, at_ms, by, alert.words, alert.destination, alert.name, facts=alert.facts)
        for key, alert in current.items()
        if key not in raised and key in suspected
    ]
    events += [
        Event(Kind.ALERT_OVER, at_ms, by, "it is no longer so", event.destination, event.subject)
        for key, event in raised.items()
        if key not in current and event.subject in watched
    ]
    return events


def at_once(
    raised: Mapping[str, Event], now: Iterable[Alert], names: Collection[str], at_ms: int, by: str
) -> list[Event]:
    """`news` of the alerts of these names, for what was looked into: nothing is only suspected."""
    found = list(now)
    mine = {key: event for key, event in raised.items() if event.subject in names}
    return news(mine, found, [alert.key for alert in found], names, at_ms, by)


def _places(of: list[tuple[Place, int]]) -> str:
    more = f" and {len(of) - 3} more" if len(of) > 3 else ""
    return ", ".join(f"{topic}[{partition}]" for (topic, partition), _ in of[:3]) + more


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"
