"""Kafka: reachable, and the installation's topics as a complete history needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from replicator.config import Config
from replicator.errors import KafkaError
from replicator.source.checks.check import Check, fail, listed, ok, warn

_TIMEOUT_S = 10.0
SHORT_RETENTION_H = 24.0


def checks(config: Config) -> Iterator[Check]:
    """All checks of Kafka; `KafkaError` when it can't be reached."""
    admin = AdminClient(config.kafka.client())
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        raise KafkaError(
            f"Kafka at {config.kafka.bootstrap_servers} can't be reached: {error.args[0].str()}",
            next_step="check kafka.bootstrap_servers and kafka.options",
        ) from None
    yield ok("kafka", f"{len(metadata.brokers)} brokers, cluster {metadata.cluster_id}")
    prefix = f"{config.installation}."
    topics = {name: topic for name, topic in metadata.topics.items() if name.startswith(prefix)}
    if f"{prefix}transaction" not in topics:
        yield warn(
            "topics",
            "none yet: the connector hasn't sent a transaction",
            "`replicator connect apply` makes them",
        )
        return
    yield from _partitions(prefix, {name: len(topic.partitions) for name, topic in topics.items()})
    yield from _settings(_describe(admin, sorted(topics)))
    single = [n for n, t in topics.items() if any(len(p.replicas) < 2 for p in t.partitions.values())]
    if single:
        yield warn(
            "replication",
            f"{len(single)} topics have one copy: what isn't in a destination yet goes with a lost disk",
            "source.topic_replication: 3 before the topics are made, and a cluster that has as many brokers",
        )


def durable_registry_topic(config: Config) -> str | None:
    """The topic that a registry keeps its schemas in, if there is one of the usual names."""
    names = AdminClient(config.kafka.client()).list_topics(timeout=_TIMEOUT_S).topics
    return next((name for name in ("_schemas", "kafkasql-journal") if name in names), None)


def _partitions(prefix: str, counts: Mapping[str, int]) -> Iterator[Check]:
    must = [
        name
        for name in counts
        if name in (f"{prefix}transaction", f"{prefix}notification")
        or name.startswith(f"{prefix}replicator.")
    ]
    wrong = [f"{name} ({counts[name]})" for name in sorted(must) if counts[name] != 1]
    if wrong:
        yield fail(
            "one partition",
            f"{listed(wrong)}: the commit order can't be read from several partitions",
            "a new installation; topics that existed before the connector keep their partitions",
        )
    else:
        yield ok("one partition", f"transactions, notifications and our tables, {len(must)} topics")


def _settings(configs: Mapping[str, Mapping[str, str]]) -> Iterator[Check]:
    compacted = [name for name, entries in configs.items() if "compact" in entries["cleanup.policy"]]
    if compacted:
        yield fail(
            "cleanup.policy",
            f"{listed(compacted)} are compacted: history is being destroyed",
            "kafka-configs --alter --add-config cleanup.policy=delete on them",
        )
    else:
        yield ok("cleanup.policy", f"delete on all {len(configs)} topics")
    hours = {name: int(entries["retention.ms"]) / 3_600_000 for name, entries in configs.items()}
    short = [f"{name} ({kept:.1f} h)" for name, kept in hours.items() if 0 <= kept < SHORT_RETENTION_H]
    if short:
        yield warn(
            "retention",
            f"{listed(short)}: a destination that is down longer has a hole",
            "raise retention.ms; source.retention_hours is for topics to come",
        )
    else:
        finite = [kept for kept in hours.values() if kept >= 0]
        yield ok("retention", f"{min(finite):.0f} h at least" if finite else "for ever")


def _describe(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    futures: dict[Any, Future[Any]] = admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
    try:
        return {
            resource.name: {key: str(entry.value) for key, entry in future.result().items()}
            for resource, future in futures.items()
        }
    except KafkaException as error:
        raise KafkaError(
            f"Kafka doesn't tell the topics' settings: {error.args[0].str()}",
            next_step="allow DESCRIBE_CONFIGS on the installation's topics",
        ) from None
