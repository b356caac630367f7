"""What people ask for: done, or refused with the reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.config import Policy
from replicator.control.decisions.commands import EXPIRES_S, answer
from replicator.control.decisions.health import HealthState
from replicator.control.decisions.standing import Observation, Verdict
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import Duty, State

NOW = 2_000_000.0
POLICIES = {"aws": Policy(), "azure": Policy(), "gcs": Policy(role="standby")}
WELL = Observation(Verdict.KEEPING, 0.0, "fine", HealthState.HEALTHY)
SEEN = dict.fromkeys(POLICIES, WELL)
ACTIVE = State(duties={"gcs": Duty(True, 0, False, Event(Kind.ACTIVATED, 0, "c"))})


def asked(subject: str, destination: str | None = "gcs", at: float = NOW) -> Event:
    return Event(Kind.ASKED, int(at * 1000), "ann", "a rehearsal", destination, subject)


@pytest.mark.parametrize(
    ("subject", "state", "kind"),
    [
        ("activate", State(), Kind.ACTIVATED),
        ("release", ACTIVE, Kind.RELEASED),
        ("pause", State(), Kind.PAUSED),
        ("resume", State(), Kind.RESUMED),
    ],
)
def test_what_may_be_done_is_done_and_bears_its_authors_reason(
    subject: str, state: State, kind: Kind
) -> None:
    request = asked(subject)
    event = answer(request, state, POLICIES, SEEN, NOW, "c").event
    assert (event.kind, event.answers) == (kind, request.id)
    assert "ann" in event.reason and "a rehearsal" in event.reason


@pytest.mark.parametrize(
    ("request_", "state", "why"),
    [
        (asked("activate"), ACTIVE, "active already"),
        (asked("release"), State(), "isn't active"),
        (asked("release", "aws"), State(), "is an active destination"),
        (asked("activate", "nowhere"), State(), "no destination 'nowhere'"),
        (asked("activate", None), State(), "no destination None"),
        (asked("explode"), State(), "doesn't know the command"),
        (asked("activate", at=NOW - EXPIRES_S - 1), State(), "nobody led"),
    ],
)
def test_what_may_not_be_done_is_refused_with_the_reason(request_: Event, state: State, why: str) -> None:
    event = answer(request_, state, POLICIES, SEEN, NOW, "c").event
    assert (event.kind, event.answers) == (Kind.REFUSED, request_.id)
    assert why in event.reason


def test_a_release_says_what_the_standby_has_of_the_past() -> None:
    event = answer(asked("release"), ACTIVE, POLICIES, SEEN, NOW, "c").event
    assert "INCOMPLETE" in event.reason and "1970-01-01 00:00:00 UTC" in event.reason
    assert "no restore source by itself" in event.reason
    assert "replicator repair gcs --from" in event.reason
    assert event.facts["copied"] == 0.0
    whole = State(duties={"gcs": replace(ACTIVE.duties["gcs"], copied=True)})
    event = answer(asked("release"), whole, POLICIES, SEEN, NOW, "c").event
    assert "INCOMPLETE" not in event.reason and "restore source by itself" in event.reason
    assert event.facts["copied"] == 1.0


def test_an_activation_by_hand_takes_over_from_those_that_fail_or_else_from_all() -> None:
    ailing = {**SEEN, "azure": replace(WELL, verdict=Verdict.FAILING)}
    assert answer(asked("activate"), State(), POLICIES, ailing, NOW, "c").failed == ("azure",)
    assert answer(asked("activate"), State(), POLICIES, SEEN, NOW, "c").failed == ("aws", "azure")
