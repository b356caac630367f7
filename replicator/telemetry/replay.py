"""The metrics of the replay of dead letters."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from replicator.telemetry.catalogue import Catalogue


class ReplayMetrics(Catalogue):
    """What the replay of one destination's dead letters tells on `/metrics`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.letters = self._gauge(
            "replicator_replay_letters",
            "Dead letters that aren't settled, by state: open, escalated.",
            "state",
        )
        self.settled = self._counter(
            "replicator_replay_settled_total", "Dead letters that were closed, by how: stored, copied.", "how"
        )
        self.escalated = self._counter(
            "replicator_replay_escalated_total", "Dead letters that can't be closed without a person."
        )
        self.unreadable = self._gauge(
            "replicator_replay_unreadable_letters",
            "Records of the topic of dead letters that this version can't read.",
        )
