from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.config import Control
from replicator.control.decisions.alerts import (
    Alert,
    news,
    of_connector,
    of_retention,
    of_silence,
    of_slot,
    of_snapshot,
)
from replicator.control.events.event import Event, Kind
from replicator.source.continuity import Slot
from replicator.source.running import State
from replicator.writer.kafka.commits import Committed

SETTINGS = Control()
SLOT = Slot(True, "reserved", 100, 2**20, None)
PLACE = ("w.public.guests", 0)


def commits(offset: int) -> dict[tuple[str, int], Committed]:
    return {PLACE: Committed(offset, "f", "w", "t")}


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (State("RUNNING", ("RUNNING",), None), None),
        (State("ABSENT", (), None), "connector_absent"),
        (State("RUNNING", ("FAILED",), "java.lang.Error: no"), "connector_failed"),
        (State("PAUSED", ("PAUSED",), None), "connector_stopped"),
        (State("RUNNING", (), None), "connector_stopped"),
    ],
)
def test_a_connector_that_does_not_run_is_an_alert_of_its_own_name(state: State, name: str | None) -> None:
    assert [alert.name for alert in of_connector(state, "weddings")] == ([name] if name else [])


@pytest.mark.parametrize(
    ("silent_s", "heartbeat_s", "raised"),
    [(0.0, 5.0, False), (120.0, 5.0, False), (121.0, 5.0, True), (121.0, 60.0, False), (181.0, 60.0, True)],
)
def test_a_connector_that_runs_and_sends_nothing_is_told_of(
    silent_s: float, heartbeat_s: float, raised: bool
) -> None:
    found = of_silence(silent_s, "weddings", SETTINGS, heartbeat_s)
    assert [alert.name for alert in found] == (["connector_silent"] if raised else [])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, None),
        ({"wal_status": "lost"}, "slot_lost"),
        ({"wal_status": "unreserved", "safe_wal_size": 10}, "slot_at_risk"),
        ({"safe_wal_size": 2**20}, "slot_at_risk"),
        ({"safe_wal_size": 2**40}, None),
        ({"behind": 11 * 2**30}, "wal_retained"),
    ],
)
def test_the_slot_is_told_of_before_it_is_lost(change: dict[str, Any], name: str | None) -> None:
    found = of_slot(replace(SLOT, **change), "replicator_w", SETTINGS)
    assert [alert.name for alert in found] == ([name] if name else [])


@pytest.mark.parametrize(
    ("kinds", "raised"),
    [
        ("", False),
        ("STARTED", False),
        ("STARTED COMPLETED SKIPPED", False),
        ("STARTED SKIPPED", True),
        ("STARTED ABORTED STARTED COMPLETED", True),
    ],
)
def test_a_snapshot_that_no_restore_takes_is_an_alert(kinds: str, raised: bool) -> None:
    told = [
        {"aggregate_type": "Initial Snapshot", "type": kind, "timestamp": 7, "additional_data": {}}
        for kind in kinds.split()
    ]
    found = of_snapshot(told)
    assert [alert.name for alert in found] == (["snapshot_unusable"] if raised else [])
    assert all("connect remove --purge" in alert.words for alert in found)


def test_a_missing_slot_is_an_alert() -> None:
    assert [alert.name for alert in of_slot(None, "replicator_w", SETTINGS)] == ["slot_missing"]


@pytest.mark.parametrize(
    ("committed", "beginning", "soon", "names"),
    [
        (100, 0, 50, []),
        (40, 0, 50, ["retention_near"]),
        (60, 0, 50, []),
        (10, 20, 50, ["records_gone"]),
        (100, 100, 100, []),
    ],
)
def test_what_kafka_drops_before_a_destination_has_it(
    committed: int, beginning: int, soon: int, names: list[str]
) -> None:
    found = of_retention(
        "second", commits(committed), {PLACE: 100}, {PLACE: beginning}, {PLACE: soon}, SETTINGS
    )
    assert [alert.name for alert in found] == names
    assert all("second" in alert.words and alert.destination == "second" for alert in found)


def test_a_destination_that_never_committed_lacks_everything_that_kafka_has() -> None:
    [alert] = of_retention("second", {}, {PLACE: 100}, {PLACE: 20}, {PLACE: 50}, SETTINGS)
    assert alert.name == "retention_near"
    assert alert.facts == {"offsets": 30}


def test_an_alert_is_raised_once_when_it_lasts_and_ends_once_when_it_was_looked_for() -> None:
    alert = Alert("slot_missing", "gone")
    assert not news({}, [alert], set(), ["slot_missing"], 1, "c"), "once may be a moment's"
    [raised] = news({}, [alert], {alert.key}, ["slot_missing"], 1, "c")
    assert (raised.kind, raised.subject, raised.reason) == (Kind.ALERT, "slot_missing", "gone")
    known: dict[str, Event] = {alert.key: raised}
    assert not news(known, [alert], {alert.key}, ["slot_missing"], 2, "c")
    assert not news(known, [], set(), [], 3, "c"), "nobody looked"
    [over] = news(known, [], set(), ["slot_missing"], 3, "c")
    assert over.kind == Kind.ALERT_OVER
