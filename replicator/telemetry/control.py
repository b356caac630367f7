"""Control's metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from replicator.telemetry.catalogue import Catalogue


class ControlMetrics(Catalogue):
    """What control tells on `/metrics`. A process that stands by tells only that it does."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.leader = self._gauge(
            "replicator_control_leader", "1 while this process leads, 0 while it stands by."
        )
        self.epoch = self._gauge("replicator_control_epoch", "The epoch of the current leader.")
        self.events = self._counter(
            "replicator_control_events_total", "Events that this process recorded, by kind.", "kind"
        )
        self.refused = self._gauge(
            "replicator_control_refused_records",
            "Records of the control topic that were forged, foreign or out of order.",
        )
        self.rpo = self._gauge(
            "replicator_rpo_seconds",
            "Now minus the commit time of the newest transaction up to which the destination has everything.",
            "destination",
        )
        self.point_lsn = self._gauge(
            "replicator_restore_point_lsn",
            "LSN of the newest restore point that was published, in bytes.",
            "destination",
        )
        self.point_age = self._gauge(
            "replicator_restore_point_age_seconds",
            "Now minus the commit time of the newest restore point that was published.",
            "destination",
        )
        self.lag = self._gauge(
            "replicator_lane_lag_records",
            "Offsets between what the destination's group has committed and the end of all partitions.",
            "destination",
        )

        self.health = self._gauge(
            "replicator_destination_health", "0 unknown, 1 healthy, 2 degraded, 3 down.", "destination"
        )
        self.probes = self._counter(
            "replicator_destination_probes_total",
            "Probes of the destination, by outcome: ok, failed.",
            "destination",
            "outcome",
        )
        self.probe_success = self._gauge(
            "replicator_destination_probe_success_ratio",
            "Share of successful probes, as a moving average.",
            "destination",
        )
        self.probe_seconds = self._gauge(
            "replicator_destination_probe_seconds",
            "How long a probe takes, as a moving average.",
            "destination",
        )
        self.on_duty = self._gauge(
            "replicator_destination_on_duty", "1 while the destination is to take changes.", "destination"
        )
        self.keeping = self._gauge("replicator_copies_kept", "Destinations that keep every change now.")
        self.min_copies = self._gauge(
            "replicator_copies_promised", "Destinations that are to keep every change."
        )
        self.paused = self._gauge("replicator_failover_paused", "1 while only people decide about failover.")

        self.alerts = self._gauge(
            "replicator_alerts",
            "Alerts that are raised now, by name; `replicator events` has the words.",
            "name",
        )
        self.connector = self._gauge(
            "replicator_connector_running", "1 while the connector and all its tasks run."
        )
        self.retained_wal = self._gauge(
            "replicator_slot_retained_wal_bytes",
            "Bytes of WAL between the newest change and what the connector has confirmed.",
        )
        self.retention = self._gauge(
            "replicator_lane_retention_remaining_seconds",
            "Until Kafka drops something that the destination lacks, at the least.",
            "destination",
        )

        self.findings = self._gauge(
            "replicator_verify_findings",
            "What the last verification found, by kind of trouble.",
            "destination",
            "kind",
        )
        self.verified = self._gauge(
            "replicator_verify_age_seconds", "Since the last verification ended.", "destination"
        )

        self.drill_passed = self._gauge(
            "replicator_drill_passed", "1 when the last drill passed, 0 when it didn't; NaN before the first."
        )
        self.drill_age = self._gauge(
            "replicator_drill_age_seconds", "Since the last drill that passed; NaN before the first."
        )
        self.drill_rto = self._gauge(
            "replicator_drill_rto_seconds", "How long the last drill's restore took."
        )
        self.drill_rpo = self._gauge(
            "replicator_drill_rpo_seconds",
            "How old the newest moment was that could have been restored when the last drill began.",
        )
        self.tell_drills(None, None)

        by_work = ("work", "destination")
        self.upkeep_passed = self._gauge(
            "replicator_upkeep_passed",
            "1 when control's last compaction, retention or rolling up of the destination succeeded, else 0.",
            *by_work,
        )
        self.upkeep_age = self._gauge(
            "replicator_upkeep_age_seconds", "Since the last one that succeeded.", *by_work
        )
        self.upkeep_seconds = self._gauge(
            "replicator_upkeep_seconds", "How long the last one took.", *by_work
        )
        self.base_age = self._gauge(
            "replicator_base_age_seconds",
            "How old the moment is at which the newest base ends that control made.",
            "destination",
        )
        self.base_bytes = self._gauge(
            "replicator_base_bytes", "Of the newest base that control made.", "destination"
        )
        self.removed_bytes = self._gauge(
            "replicator_retention_removed_bytes",
            "Bytes that control's last retention removed.",
            "destination",
        )

    def tell_upkeep(
        self,
        work: str,
        destination: str,
        facts: Mapping[str, float],
        age_s: float | None,
        base_age_s: float | None,
    ) -> None:
        """The last one's figures, since when one succeeded, and how old what it made is; None for unknown."""
        self.upkeep_passed.labels(work, destination).set(facts.get("passed", math.nan))
        self.upkeep_seconds.labels(work, destination).set(facts.get("seconds", math.nan))
        self.upkeep_age.labels(work, destination).set(math.nan if age_s is None else age_s)
        if base_age_s is not None:
            self.base_age.labels(destination).set(base_age_s)
        if "base_bytes" in facts:
            self.base_bytes.labels(destination).set(facts["base_bytes"])
        if "removed_bytes" in facts:
            self.removed_bytes.labels(destination).set(facts["removed_bytes"])

    def tell_drills(self, last: Mapping[str, float] | None, age_s: float | None) -> None:
        """The last drill's figures (`passed`, `rto_s`, `rpo_s`), and since when one passed; None for none.

        What isn't known is NaN: 0 would be a figure.
        """
        found = last or {}
        self.drill_passed.set(found.get("passed", math.nan))
        self.drill_rto.set(found.get("rto_s", math.nan))
        self.drill_rpo.set(found.get("rpo_s", math.nan))
        self.drill_age.set(math.nan if age_s is None else age_s)

    def stand_by(self) -> None:
        """Tell nothing of destinations any more: the leader does, and old figures beside its own mislead."""
        for gauge in (
            self.rpo,
            self.point_lsn,
            self.point_age,
            self.lag,
            self.health,
            self.probe_success,
            self.probe_seconds,
            self.on_duty,
            self.alerts,
            self.retention,
            self.findings,
            self.verified,
            self.upkeep_passed,
            self.upkeep_age,
            self.upkeep_seconds,
            self.base_age,
            self.base_bytes,
            self.removed_bytes,
        ):
            gauge.clear()
        self.tell_drills(None, None)
