"""The sink as a process: its parts put together, started, and ended in order."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from confluent_kafka import Consumer

from replicator import config, signals
from replicator.config import Config
from replicator.deadletter.topic import LetterTopic
from replicator.errors import KafkaError
from replicator.fetch.fetcher import Fetcher
from replicator.storage import FOREVER, ObjectStore, Retry, RetryingStore, open_limited
from replicator.telemetry import SinkMetrics
from replicator.writer.assignment.assigned import Resolver
from replicator.writer.assignment.offsets import Offsets
from replicator.writer.delivery.breaker import Patience
from replicator.writer.delivery.lane import Lane
from replicator.writer.delivery.outbox import Outbox
from replicator.writer.delivery.segments import Delivery
from replicator.writer.destination import fingerprint, mark
from replicator.writer.duty import Always, Duty
from replicator.writer.kafka import group
from replicator.writer.kafka.new_topics import NewTopics
from replicator.writer.kafka.topic_identity import TopicIdentity
from replicator.writer.loop import SchemasChanged, Sink, TopicsCame
from replicator.writer.memory import allocator
from replicator.writer.once import CaughtUp
from replicator.writer.partition.urgency import Urgencies
from replicator.writer.process import failpoints, health
from replicator.writer.process.pool import Pool, Supervisor
from replicator.writer.schemas.book import SchemaBook
from replicator.writer.schemas.registry import Registry

_log = structlog.get_logger()
_T = TypeVar("_T")
_QUEUE_KIB = 8 * 1024
"""How much librdkafka fetches ahead; its overhead comes on top."""
_BLOCK_BYTES = 2**20
_SPARE_BYTES = 8 * 2**20
_KAFKA_PATIENCE_S = 60.0


def run(settings: Config, name: str, *, once: bool = False, duty: Duty | None = None) -> bool:
    """Be a member of the destination's writer group until SIGTERM or SIGINT; with `once`, until caught up.

    A standby's `duty` says when it begins and when it is over; True is returned then, and only then.
    `ConfigError`, `KafkaError` or `StorageError` when it can't begin or go on. A second signal ends the
    process at once; whatever it held is read from Kafka again.
    """
    failpoints.arm()
    ending = signals.ending("what is not committed is read again")
    destination = settings.destination(name)
    mine = fingerprint(settings.installation, destination)
    urgencies = Urgencies(settings.sink, settings.installation)
    metrics, state, supervisor = SinkMetrics(), health.Health(), Supervisor()
    server = health.serve_for("sink", settings.sink, state, metrics, supervisor)
    _log.info("sink", destination=name, writes_to=str(mine), health=health.url_of(server))

    duty = duty or Always()

    def waiting(what: str) -> None:
        state.trouble("duty", what)
        state.progressed()

    if not duty.called(ending, waiting):
        server.shutdown()
        return False
    state.trouble("duty", None)
    cluster = group.Cluster(settings.kafka, group.client_id(mine))
    cluster_id = _patiently(cluster.cluster_id, ending)
    group_id, topics = group.group_of(settings.installation, name), group.topics_of(settings.installation)
    plain, store = _open(destination, state, metrics)
    mark(
        store,
        settings.installation,
        cluster_id,
        lambda: _patiently(lambda: cluster.has_committed(group_id, mine, topics), ending),
        name=name,
        others=settings.destinations,
    )
    _patiently(lambda: cluster.refuse_others(group_id, mine), ending)
    if ending.is_set():
        return False

    offsets = Offsets(mine, metrics, state)
    consumer = Consumer(
        {
            **group.member_settings(settings.kafka, group_id, mine),
            "on_commit": offsets.answered,
        }
    )
    fetcher = Fetcher(group.fetch_settings(settings.kafka, group_id, mine, _QUEUE_KIB))
    offsets.attach(consumer)
    sink = Sink(settings.sink, urgencies, consumer, fetcher, offsets, state, metrics, supervisor)
    book: SchemaBook

    def told(name: str | None) -> None:
        if name is None and book.trouble is not None:
            _log.warning("records wait for a schema; nothing is lost, Kafka keeps them", error=book.trouble)
        state.trouble("registry", book.trouble)
        sink.post(SchemasChanged())

    book = SchemaBook(
        Registry(settings.registry), store, supervisor, told, settings.registry.unknown_patience_s
    )
    sink.connect(
        Delivery(
            Lane(
                plain,
                group.client_id(mine),
                Patience(refused_s=settings.sink.refusal_patience_s),
                state,
                metrics,
                Pool("upload", settings.sink.upload_threads, supervisor),
                Pool("lane", 1, supervisor),
            ),
            book,
            TopicIdentity(cluster, state, supervisor),
            cluster_id,
            supervisor,
            sink.post,
        ),
        Resolver(cluster, store, group_id, mine, supervisor, sink.post),
        Outbox(LetterTopic(settings, name), state, supervisor, sink.post),
    )
    allocator.keep_pages(_BLOCK_BYTES, _SPARE_BYTES, arenas=4)
    # Records come and go by the million and hold no cycles: looking for cycles among them is wasted.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    looking = Pool("topics", 1, supervisor)
    NewTopics(
        lambda: {topic for topic, _ in cluster.partitions(topics)},
        looking,
        lambda names: sink.post(TopicsCame(names)),
    )
    caught_up = CaughtUp(cluster, group_id, topics, sink) if once else None
    try:
        sink.run(
            topics,
            lambda: ending.is_set() or duty.over() or (caught_up is not None and caught_up()),
        )
    finally:
        looking.close()
        server.shutdown()
    if caught_up is not None:
        caught_up.check()
    _log.info("ended", destination=name)
    return duty.over() and not ending.is_set()


def _open(
    destination: config.Destination, state: health.Health, metrics: SinkMetrics
) -> tuple[ObjectStore, ObjectStore]:
    """The destination as it is, and with retries around it."""

    def on_retry(retry: Retry) -> None:
        metrics.retries.labels(retry.error.kind.value).inc()
        state.trouble(f"storage: {retry.operation} {retry.key}", str(retry.error))
        _log.warning(
            "the destination failed; the request is made again",
            operation=retry.operation,
            key=retry.key,
            kind=retry.error.kind.value,
            error=retry.error.message,
            attempt=retry.attempt,
            wait_s=round(retry.wait_s, 2),
        )

    def on_settled(operation: str, key: str) -> None:
        state.trouble(f"storage: {operation} {key}", None)

    plain = open_limited(destination)
    return plain, RetryingStore(plain, FOREVER, on_retry=on_retry, on_settled=on_settled)


def _patiently(ask: Callable[[], _T], ending: threading.Event) -> _T:
    deadline = time.monotonic() + _KAFKA_PATIENCE_S
    while True:
        try:
            return ask()
        except KafkaError as error:
            if ending.is_set() or time.monotonic() > deadline:
                raise
            _log.warning("Kafka isn't there yet", error=str(error))
            ending.wait(1.0)
