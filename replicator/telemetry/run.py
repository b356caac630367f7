"""The metrics of `replicator run`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from replicator.telemetry.catalogue import Catalogue


class RunMetrics(Catalogue):
    """What `replicator run` tells of the tree itself."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.up = self._gauge("replicator_run_child_up", "1 while the child process runs.", "child")
        self.ends = self._counter(
            "replicator_run_child_ends_total",
            "How often the child process ended though nobody asked it to.",
            "child",
        )
        self.given_up = self._gauge(
            "replicator_run_child_given_up",
            "1 when the child's configuration was refused, and it isn't started again.",
            "child",
        )
