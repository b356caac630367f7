"""The control topic: made once, read by everybody, written by one leader at a time and by people who ask."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import structlog
from confluent_kafka import KafkaError as BrokerError
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
)

from replicator.config import Config
from replicator.control.events.event import Event
from replicator.errors import ConfigError, KafkaError
from replicator.records import RecordCodec

EVENT = "control_event"
POINT = "restore_point"
_TIMEOUT_S = 15.0
_log = structlog.get_logger()


def name_of(installation: str) -> str:
    """The control topic of an installation; no sink's subscription matches it."""
    return f"replicator.{installation}.control"


def require(config: Config) -> None:
    """`KafkaError` when there is no such topic: control has never run here."""
    if not exists(config):
        raise KafkaError(
            f"There is no control topic {name_of(config.installation)}: control has never run here, so "
            "nothing is known or decided.",
            next_step="start `replicator control`",
        )


def exists(config: Config) -> bool:
    """Whether control has ever run here; `KafkaError` when Kafka doesn't tell."""
    try:
        known = AdminClient(config.kafka.client()).list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise failed("tell its topics", error) from None
    return name_of(config.installation) in known


def codec_of(config: Config) -> RecordCodec:
    """The codec of that topic's records."""
    return RecordCodec(config.registry, name_of(config.installation), (EVENT, POINT))


def ensure(config: Config) -> None:
    """Make the topic unless it is there; `ConfigError` if it is there and would forget or reorder events."""
    topic = name_of(config.installation)
    admin = AdminClient(config.kafka.client())
    made = NewTopic(
        topic,
        num_partitions=1,
        replication_factor=config.source.topic_replication,
        config={"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
    )
    try:
        admin.create_topics([made])[topic].result(_TIMEOUT_S)
        _log.info("the control topic was made", topic=topic)
        return
    except KafkaException as error:
        if error.args[0].code() != BrokerError.TOPIC_ALREADY_EXISTS:
            raise failed(f"make {topic}", error) from None
    _check(admin, topic)


def _check(admin: AdminClient, topic: str) -> None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        asked: Future[Any] = admin.describe_configs([resource])[resource]
        entries = asked.result(_TIMEOUT_S)
        partitions = len(admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions)
    except KafkaException as error:
        raise failed(f"describe {topic}", error) from None
    found = {key: str(entries[key].value) for key in ("cleanup.policy", "retention.ms", "retention.bytes")}
    wanted = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    wrong = [f"{key}={found[key]} (must be {value})" for key, value in wanted.items() if found[key] != value]
    if partitions != 1:
        wrong.append(f"{partitions} partitions (must be 1)")
    if wrong:
        raise ConfigError(
            f"The control topic {topic} has {', '.join(wrong)}: decisions would be forgotten or reordered.",
            next_step=f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config "
            "cleanup.policy=delete,retention.ms=-1,retention.bytes=-1; a topic with several partitions must "
            "be deleted and made anew while no standby is active",
        )


def send(config: Config, event: Event) -> None:
    """Write an event that isn't a leader's; `KafkaError` when Kafka doesn't take it, `RegistryError`."""
    topic = name_of(config.installation)
    value = codec_of(config).encode(EVENT, event.fields())
    producer = Producer(config.kafka.client(**{"enable.idempotence": True}))
    failures: list[str] = []
    producer.produce(
        topic, value, partition=0, on_delivery=lambda error, _: failures.append(str(error)) if error else None
    )
    if producer.flush(_TIMEOUT_S) or failures:
        raise KafkaError(
            f"{topic} didn't take the event: {failures[0] if failures else 'no answer in time'}",
            next_step="check that the brokers are up and that `replicator control` has run once",
        )


def failed(what: str, error: KafkaException) -> KafkaError:
    """What Kafka didn't do, and why, as an error for people."""
    return KafkaError(
        f"Kafka didn't {what}: {error.args[0].str()}",
        next_step="check that the brokers are up and that `kafka:` names them and the right credentials",
    )
