"""The act in which a cloud dies in the middle of the traffic, a standby takes over, and the dead returns."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from demo import coverage
from demo.clouds import STANDBY
from demo.processes import Program
from demo.stage import Stage
from replicator import config
from replicator.control.events.event import Event, Kind
from replicator.segment.name import CHANGES, Place, SegmentName
from replicator.storage import open_store

VICTIM = "azure"
_DECISION_S = 60.0
_CATCH_UP_S = 240.0


@dataclass(slots=True)
class Outage:
    """What happened, and when; `calm_from` to `at` is the undisturbed traffic to compare with."""

    calm_from: datetime
    at: datetime
    activated: Event
    ended: dict[Place, int]
    """What the dead cloud's group had committed."""
    observed_to: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Up to here nothing but the outage disturbed the others."""
    caught_up_s: float = 0.0
    released: Event | None = None
    gap: int = 0

    @property
    def decided_s(self) -> float:
        """From the kill to the decision."""
        return self.activated.at_ms / 1000 - self.at.timestamp()


def strike(stage: Stage, traffic: Program, calm_from: datetime) -> Outage:
    """Kill the cloud with SIGKILL and wait until the standby has taken over and caught up."""
    show, decisions = stage.show, stage.decisions
    show.step("[bold]SIGKILL[/bold] of Azure's stand-in; two copies are promised, control is to see to it")
    at = datetime.now(UTC)
    stage.lose(VICTIM)
    since = int(at.timestamp() * 1000)

    def activated() -> str | None:
        found = decisions.newest(Kind.ACTIVATED, STANDBY, since)
        return None if found else f"control hasn't activated {STANDBY}"

    stage.flow(traffic, _DECISION_S, until=activated)
    event = decisions.newest(Kind.ACTIVATED, STANDBY, since)
    assert event is not None
    outage = Outage(calm_from, at, event, stage.progress.committed(VICTIM))
    show.step(f"{STANDBY} takes over, decided {outage.decided_s:.1f} s after the kill:")
    show.result(textwrap.shorten(event.reason, 150, placeholder=" …"))
    stage.flow(traffic, _CATCH_UP_S, until=partial(stage.behind, STANDBY, stage.progress.ends()))
    show.step(f"{STANDBY} goes on where azure ended")
    return outage


def complete(stage: Stage, traffic: Program) -> None:
    """Wait until the standby was given what had been before, too: a release would end that."""

    def missing() -> str | None:
        stage.decisions.refresh()
        return None if stage.decisions.complete(STANDBY) else f"the past isn't in {STANDBY} yet"

    stage.flow(traffic, _CATCH_UP_S, until=missing)
    stage.show.step(f"{STANDBY} was given all that was before, too: it could be restored from by itself")


def recover(stage: Stage, traffic: Program, outage: Outage) -> None:
    """Start the dead cloud again; wait until it has caught up and the standby is stood down."""
    show, decisions = stage.show, stage.decisions
    back_at = datetime.now(UTC)
    owed = stage.progress.ends()
    stage.regain(VICTIM)
    show.step("Azure's stand-in is back")
    stage.flow(traffic, _CATCH_UP_S, until=partial(stage.behind, VICTIM, owed))
    outage.caught_up_s = (datetime.now(UTC) - back_at).total_seconds()
    show.step(f"azure has caught up, {outage.caught_up_s:.1f} s after its return")

    def released() -> str | None:
        outage.released = decisions.newest(Kind.RELEASED, STANDBY, outage.activated.at_ms)
        return None if outage.released else f"{STANDBY} is still on duty"

    stage.flow(traffic, _CATCH_UP_S, until=released)
    assert outage.released is not None
    show.step(f"{STANDBY} is stood down: {outage.released.reason}")


def account(stage: Stage, outage: Outage) -> None:
    """Count what the standby lacks of its time on duty; done when it has stored all that it held."""
    store = open_store(config.load(stage.site.config).destination(STANDBY))
    try:
        stored = [name for info in store.list(CHANGES) if (name := SegmentName.parse(info.key))]
    finally:
        store.close()
    outage.gap = coverage.gap(outage.ended, stage.progress.committed(STANDBY), stored)
