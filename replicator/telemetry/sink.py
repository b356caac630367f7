"""The sink's metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from replicator.telemetry.catalogue import Catalogue

_PARTITION = ("topic", "partition")


class SinkMetrics(Catalogue):
    """What a sink tells of itself on `/metrics`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.records = self._counter("replicator_sink_records_total", "Records taken from Kafka.")
        self.consumed_bytes = self._counter(
            "replicator_sink_encoded_bytes_total",
            "Bytes of records as segments hold them, before compression.",
        )
        self.stored_bytes = self._counter(
            "replicator_sink_stored_bytes_total", "Bytes of segments made durable."
        )
        self.segments = self._counter(
            "replicator_sink_segments_total", "Segments made durable, by why they were sealed.", "reason"
        )
        self.existed = self._counter(
            "replicator_sink_segments_existed_total",
            "Segments that were in the destination already when they were to be stored.",
        )
        self.durable_seconds = self._histogram(
            "replicator_sink_record_to_durable_seconds",
            "From the Kafka timestamp of a segment's oldest record to its being durable.",
            buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 120, 300, 900, 3600),
        )
        self.put_seconds = self._histogram(
            "replicator_sink_put_seconds",
            "How long a segment's PUT took, retries included.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
        )
        self.retries = self._counter(
            "replicator_sink_storage_retries_total",
            "Requests to the destination that failed and were made again, by kind of error.",
            "kind",
        )
        self.letters = self._counter(
            "replicator_sink_letters_total",
            "Dead letters written, by kind (record, range) and reason.",
            "kind",
            "reason",
        )
        self.lane_open = self._gauge(
            "replicator_sink_lane_open", "1 while the destination is down by its probes and the lane pauses."
        )
        self.probes = self._counter(
            "replicator_sink_probes_total",
            "Probes of the destination after uploads failed, by result: passed, failed.",
            "result",
        )
        self.durable_offset = self._gauge(
            "replicator_sink_durable_offset",
            "Every record of the partition below it is durable.",
            *_PARTITION,
        )
        self.lag = self._gauge(
            "replicator_sink_lag_records",
            "Offsets between what is durable and the end of the partition.",
            *_PARTITION,
        )
        self.memory = self._gauge(
            "replicator_sink_memory_bytes", "Bytes of records held, on their way included."
        )
        self.paused = self._gauge("replicator_sink_paused", "1 while partitions pause at the memory bound.")
        self.partitions = self._gauge("replicator_sink_partitions", "Partitions assigned, by state.", "state")
        self.commit_errors = self._counter(
            "replicator_sink_commit_errors_total", "Commits that Kafka refused."
        )
        self.rebalances = self._counter(
            "replicator_sink_rebalances_total",
            "Changes of the assignment, by kind: assigned, revoked, lost.",
            "kind",
        )

    def forget(self, topic: str, partition: int) -> None:
        """The partition is no longer ours: others tell of it now."""
        for gauge in (self.durable_offset, self.lag):
            if (topic, str(partition)) in gauge._metrics:
                gauge.remove(topic, str(partition))
