"""From what the fetcher has to what the partitions' writers are fed: each lacks exactly its next offset.

Used by the loop's thread alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import structlog

from replicator import config
from replicator.deadletter.letter import record_letter
from replicator.fetch.fetcher import Fetched, Fetcher, Notice
from replicator.segment.splice import Records, Run
from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import Assigned, State
from replicator.writer.assignment.ownership import Ownership
from replicator.writer.delivery.outbox import Outbox
from replicator.writer.delivery.segments import Delivery
from replicator.writer.partition.effects import Effect
from replicator.writer.partition.state_machine import PartitionWriter
from replicator.writer.partition.triage import Unfit, triage
from replicator.writer.process import failpoints

_log = structlog.get_logger()
_BATCH_BYTES = 256 * 1024
"""About a block: what is taken at once stays in the processor's cache until it is compressed."""
_BATCH_RECORDS = 2000


class Intake:
    """Takes a batch at a time; what a writer wants done about it goes to `apply`."""

    def __init__(
        self,
        settings: config.Sink,
        fetcher: Fetcher,
        ownership: Ownership,
        metrics: SinkMetrics,
        apply: Callable[[Assigned, list[Effect]], None],
    ) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self._ownership = ownership
        self._metrics = metrics
        self._apply = apply
        self._batch = 500
        self._delivery: Delivery
        self._outbox: Outbox

    def connect(self, delivery: Delivery, outbox: Outbox) -> None:
        """Who waits for schemas, and where letters go."""
        self._delivery = delivery
        self._outbox = outbox

    def take(self, patience_s: float) -> None:
        """Feed the writers what was fetched, waiting so long for the first of it."""
        with self._fetcher.take(self._batch, patience_s) as taken:
            if taken:
                failpoints.reach("consumed")
                self._feed_all(taken, time.monotonic())
                failpoints.reach("fed")

    def _feed_all(self, taken: list[Fetched | Notice], now: float) -> None:
        encoded = count = 0
        for each in taken:
            assigned = self._ownership.partitions.get((each.topic, each.partition))
            if isinstance(each, Notice):
                self._heed(assigned, each, now)
            elif assigned is not None and assigned.state is State.RUNNING:
                for run in self._feed(assigned, each.records, now):
                    encoded += len(run.encoded)
                    count += run.count
        if count:
            self._metrics.records.inc(count)
            self._metrics.consumed_bytes.inc(encoded)
            self._batch = max(1, min(_BATCH_RECORDS, _BATCH_BYTES * count // encoded))

    def _feed(self, assigned: Assigned, records: Records, now: float) -> Iterator[Run]:
        """Hand the partition's writer what it lacks of these records, run by run."""
        writer = assigned.writer
        assert writer is not None
        rest: Records | None = records
        while rest is not None and rest.count and assigned.state is State.RUNNING:
            records, rest = rest, None
            self._apply(assigned, writer.pass_over(records.first))
            if records.first < writer.expected:
                _, records = records.split(writer.expected)
            if writer.limit is not None and records.count and records.last >= writer.limit:
                records, rest = records.split(writer.limit)
            for part in triage(records, self._delivery.refusals, self._settings.max_record_bytes):
                if isinstance(part, Unfit):
                    self._leave_out(assigned, writer, part, now)
                    continue
                if part.value_schema is not None:
                    self._delivery.expect(part.value_schema)
                self._apply(assigned, writer.feed(part, now))
                yield part

    def _leave_out(self, assigned: Assigned, writer: PartitionWriter, unfit: Unfit, now: float) -> None:
        letter = record_letter(
            self._outbox.destination,
            writer.chain,
            unfit.offset,
            unfit.record,
            unfit.reason,
            unfit.detail,
            time.time_ns() // 1_000_000,
        )
        self._apply(assigned, writer.leave_out(letter, now))

    def _heed(self, assigned: Assigned | None, notice: Notice, now: float) -> None:
        writer = None if assigned is None or assigned.state is not State.RUNNING else assigned.writer
        if assigned is None or writer is None:
            if not notice.at_end and not notice.refused:
                _warn(notice)
        elif notice.at_end:
            self._apply(assigned, writer.caught_up(notice.offset, now))
        elif notice.refused and 0 <= notice.offset < writer.expected:
            # An answer to a fetch from before the partition began here, or from inside of what was passed
            # over. librdkafka has stopped reading it, if it is the latter.
            _warn(notice)
            self._fetcher.begin(assigned.topic, assigned.partition, writer.expected)
        else:
            # Deny by default: after some errors, a damaged batch's for one, librdkafka reads on behind it.
            _warn(notice)
            self._apply(assigned, self._ownership.interrupt(assigned, writer, notice.text))


def _warn(notice: Notice) -> None:
    _log.warning(
        "Kafka",
        error=notice.text,
        code=notice.name,
        topic=notice.topic,
        partition=notice.partition,
        offset=notice.offset,
    )
