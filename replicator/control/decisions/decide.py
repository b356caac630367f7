"""Failover: from the state, what is seen and the time to what is to be done. Pure.

The promise is `min_copies`: so many destinations keep every change. A destination that isn't known yet counts
as keeping it when standbys are to be activated, and as failing when one is to be released: neither is done on
ignorance. Activation never waits, because a broken promise costs copies; release does: it only saves money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replicator.config import Control, Policy
from replicator.control.decisions.health import HealthState
from replicator.control.decisions.past import at_release
from replicator.control.decisions.score import Score, score
from replicator.control.decisions.standing import Observation, Verdict
from replicator.control.events.event import Event, Kind
from replicator.control.events.state import State


@dataclass(frozen=True, slots=True)
class Intent:
    """An event that is to be recorded. An activation takes over from the groups of `failed`."""

    event: Event
    failed: tuple[str, ...] = ()


def on_duty(state: State, policies: Mapping[str, Policy]) -> list[str]:
    """The destinations that are to take changes now, in order of their names."""
    return sorted(name for name, policy in policies.items() if policy.role == "active" or state.active(name))


def decide(
    state: State,
    policies: Mapping[str, Policy],
    seen: Mapping[str, Observation],
    settings: Control,
    now: float,
    by: str,
) -> list[Intent]:
    """What is to be recorded now, in order, `now` being in seconds since 1970; mostly nothing."""
    duty = on_duty(state, policies)
    keeping = [name for name in duty if seen[name].verdict is Verdict.KEEPING]
    unknown = [name for name in duty if seen[name].verdict is Verdict.UNKNOWN]
    failing = tuple(name for name in duty if seen[name].verdict is Verdict.FAILING)
    missing = settings.min_copies - len(keeping) - len(unknown)
    intents = _promise(state, settings, keeping, failing, seen, missing, now, by)
    if state.paused is not None:
        return intents
    if missing > 0:
        ranked = _standbys(state, policies, seen, keeping)
        for rank in ranked[:missing]:
            reasons = (
                "; ".join(f"{name}: {seen[name].reason}" for name in failing) or "too few are configured"
            )
            event = _event(
                Kind.ACTIVATED,
                now,
                by,
                f"{len(keeping)} of {settings.min_copies} copies are kept ({reasons}). Chosen of "
                f"{len(ranked)}: {rank}",
                rank.name,
                {**rank.parts, "priority": rank.priority, "total": rank.total},
            )
            intents.append(Intent(event, failing))
    else:
        intents += _release(state, policies, seen, settings, now, by)[:1]
    return intents


def _promise(
    state: State,
    settings: Control,
    keeping: list[str],
    failing: tuple[str, ...],
    seen: Mapping[str, Observation],
    missing: int,
    now: float,
    by: str,
) -> list[Intent]:
    facts = {"keeping": float(len(keeping)), "min_copies": float(settings.min_copies)}
    if missing > 0 and state.broken is None:
        words = (
            f"only {len(keeping)} of {settings.min_copies} copies are kept. {_reasons(failing, seen)}. "
            "Nothing is lost while Kafka keeps the records"
        )
        return [Intent(_event(Kind.PROMISE_BROKEN, now, by, words, None, facts))]
    if len(keeping) >= settings.min_copies and state.broken is not None:
        words = f"{len(keeping)} destinations keep every change: {', '.join(keeping)}"
        return [Intent(_event(Kind.PROMISE_KEPT, now, by, words, None, facts))]
    return []


def _reasons(failing: tuple[str, ...], seen: Mapping[str, Observation]) -> str:
    return "; ".join(f"{name}: {seen[name].reason}" for name in failing) or "too few are configured"


def _standbys(
    state: State, policies: Mapping[str, Policy], seen: Mapping[str, Observation], keeping: list[str]
) -> list[Score]:
    serving = [policies[name].failure_domain for name in keeping]
    usable = [
        score(name, policy, seen[name], serving)
        for name, policy in policies.items()
        if policy.role == "standby"
        and not state.active(name)
        and not _held(state, name)
        and seen[name].ready
        and seen[name].health in (HealthState.HEALTHY, HealthState.DEGRADED)
    ]
    return sorted(usable, key=lambda each: each.key)


def _release(
    state: State,
    policies: Mapping[str, Policy],
    seen: Mapping[str, Observation],
    settings: Control,
    now: float,
    by: str,
) -> list[Intent]:
    """Standbys without which the promise was kept for long enough; of several the worst comes first."""
    steady = [name for name in on_duty(state, policies) if _steady(seen[name], settings, now)]
    found = []
    for name, duty in state.duties.items():
        if name not in policies or policies[name].role != "standby" or not duty.active or duty.manual:
            continue
        served_s = now - duty.since_ms / 1000
        others = [other for other in steady if other != name]
        if served_s < settings.min_active_s or len(others) < settings.min_copies:
            continue
        rank = score(name, policies[name], seen[name], [policies[other].failure_domain for other in others])
        past, facts = at_release(name, duty)
        words = (
            f"{', '.join(sorted(others))} have kept the promise without it for "
            f"{settings.release_after_s:g} s; it served {served_s:.0f} s. {past}"
        )
        event = _event(Kind.RELEASED, now, by, words, name, {"served_s": served_s, **facts})
        found.append((rank.key, Intent(event)))
    return [intent for _, intent in sorted(found, key=lambda each: each[0], reverse=True)]


def _steady(seen: Observation, settings: Control, now: float) -> bool:
    caught_up = seen.lag == 0 or (seen.rpo_s is not None and seen.rpo_s <= settings.caught_up_s)
    return seen.verdict is Verdict.KEEPING and caught_up and now - seen.since >= settings.release_after_s


def _held(state: State, name: str) -> bool:
    """Whether a person released it: nothing but a person, or `failover resume`, brings it back."""
    duty = state.duties.get(name)
    return duty is not None and duty.manual and not duty.active


def _event(
    kind: Kind, now: float, by: str, reason: str, destination: str | None, facts: Mapping[str, float]
) -> Event:
    return Event(kind, int(now * 1000), by, reason, destination, facts=dict(facts))
