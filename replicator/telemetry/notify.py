"""The metrics of `replicator notify`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from replicator.telemetry.catalogue import Catalogue


class NotifyMetrics(Catalogue):
    """What `replicator notify` tells of itself."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.notices = self._counter(
            "replicator_notify_notices_total",
            "Notices that a receiver took, by level: failure, warning, success.",
            "level",
        )
        self.failures = self._counter(
            "replicator_notify_failures_total", "Notices that a receiver didn't take; they are tried again."
        )
