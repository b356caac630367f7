"""Which standby is the best one to activate. Pure.

Health comes first, then the priority that people gave, then the score: the sum of latency, cost, capacity and
distance, each between 0 and 1. Distance is 1 for a failure domain that no serving destination shares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from replicator.config import Policy
from replicator.control.decisions.health import HealthState
from replicator.control.decisions.standing import Observation


@dataclass(frozen=True, slots=True)
class Score:
    """A candidate's rank: compare `key`, smallest first."""

    name: str
    healthy: bool
    priority: int
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """The sum of the parts."""
        return sum(self.parts.values())

    @property
    def key(self) -> tuple[bool, int, float, str]:
        """Orders candidates, the best one first; the name decides between equals."""
        return (not self.healthy, -self.priority, -self.total, self.name)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in self.parts.items())
        return f"priority {self.priority}, score {self.total:.2f} ({parts})"


def score(name: str, policy: Policy, seen: Observation, serving: Collection[str | None]) -> Score:
    """The rank of a standby, `serving` being the failure domains of those that keep the promise now."""
    parts = {
        "latency": 1 / (1 + seen.latency_s),
        "cost": 1 / (1 + policy.cost),
        "capacity": 1.0 if seen.free is None else max(0.0, min(1.0, seen.free)),
        "distance": 0.0 if policy.failure_domain is not None and policy.failure_domain in serving else 1.0,
    }
    return Score(name, seen.health is HealthState.HEALTHY, policy.priority, parts)
