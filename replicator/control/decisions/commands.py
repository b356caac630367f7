"""What people ask for, judged: whether it may be done, or why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from replicator.config import Policy
from replicator.control.decisions.decide import Intent, on_duty
from replicator.control.decisions.past import at_release
from replicator.control.decisions.standing import Observation, Verdict
from replicator.control.events.event import Command, Event, Kind
from replicator.control.events.state import State

EXPIRES_S = 600.0
"""A request that nobody took up for so long isn't what its author wants now."""


def answer(
    asked: Event,
    state: State,
    policies: Mapping[str, Policy],
    seen: Mapping[str, Observation],
    now: float,
    by: str,
) -> Intent:
    """The event that answers a request: it is done, or refused with the reason."""
    draft = Event(
        Kind.REFUSED,
        int(now * 1000),
        by,
        destination=asked.destination,
        subject=asked.subject,
        answers=asked.id,
    )
    words = f"{asked.by} asked for it: {asked.reason}"
    why = _objection(asked, state, policies, now)
    if why is not None:
        return Intent(replace(draft, reason=why))
    match asked.subject:
        case Command.ACTIVATE:
            failed = tuple(
                name for name in on_duty(state, policies) if seen[name].verdict is not Verdict.KEEPING
            )
            # With all of them well it begins where the last of them stands, so that it misses nothing.
            groups = failed or tuple(on_duty(state, policies))
            return Intent(replace(draft, kind=Kind.ACTIVATED, reason=words), groups)
        case Command.RELEASE:
            name = asked.destination or ""
            past, facts = at_release(name, state.duties[name])
            return Intent(replace(draft, kind=Kind.RELEASED, reason=f"{words}. {past}", facts=facts))
        case Command.PAUSE:
            return Intent(replace(draft, kind=Kind.PAUSED, reason=words))
    return Intent(replace(draft, kind=Kind.RESUMED, reason=words))


def _objection(asked: Event, state: State, policies: Mapping[str, Policy], now: float) -> str | None:
    name = asked.destination
    if asked.subject not in tuple(Command):
        return f"this version doesn't know the command {asked.subject!r}"
    if now - asked.at_ms / 1000 > EXPIRES_S:
        return f"it was asked more than {EXPIRES_S / 60:.0f} minutes ago, when nobody led; ask again"
    if asked.subject in (Command.PAUSE, Command.RESUME):
        return None
    if name is None or name not in policies:
        return f"there is no destination {name!r} in the leader's configuration"
    if policies[name].role != "standby":
        return (
            f"{name} is an active destination: it takes changes whenever its sinks run. Stop them, or give "
            "it the role standby"
        )
    if asked.subject == Command.ACTIVATE and state.active(name):
        return f"{name} is active already"
    if asked.subject == Command.RELEASE and not state.active(name):
        return f"{name} isn't active"
    return None
