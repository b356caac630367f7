"""What the control topic is told of a verification, and of the alert about damage."""

from __future__ import annotations

from dataclasses import replace

from replicator.control.events.event import Event, Kind
from replicator.control.tasks.verifying import Verified

FOUND = Verified("a", True, 12, 3400, {"missing": 2, "altered": 0}, "12 segments: 2 missing")
SOUND = replace(FOUND, damaged=False, counts={"missing": 0}, words="all is well")


def raised(destination: str) -> dict[str, Event]:
    event = Event(Kind.ALERT, 1, "c", "words", destination, "damaged")
    return {f"damaged/{destination}": event}


def test_damage_is_told_with_its_figures_and_raises_an_alert_once() -> None:
    told, alert = FOUND.events({}, 5, "c")
    assert (told.kind, told.destination, told.at_ms) == (Kind.VERIFIED, "a", 5)
    assert told.facts == {"missing": 2.0, "altered": 0.0, "segments": 12.0, "bytes": 3400.0}
    assert (alert.kind, alert.subject, alert.destination) == (Kind.ALERT, "damaged", "a")
    assert "replicator repair a" in alert.reason
    assert [each.kind for each in FOUND.events(raised("a"), 6, "c")] == [Kind.VERIFIED]


def test_only_its_own_destinations_alert_ends_with_a_verification_that_found_nothing() -> None:
    told, over = SOUND.events({**raised("a"), **raised("b")}, 7, "c")
    assert told.reason == "all is well"
    assert (over.kind, over.destination, over.subject) == (Kind.ALERT_OVER, "a", "damaged")
    another = {"slot_lost/a": Event(Kind.ALERT, 1, "c", "words", "a", "slot_lost")}
    assert [each.kind for each in SOUND.events(another, 8, "c")] == [Kind.VERIFIED]
