"""Apicurio Registry, its schemas in Kafka, so that an id means the same text after any restart."""

from __future__ import annotations

import signal
from pathlib import Path

import requests
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local import jars
from deploy.local.jvm import java
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST

HEAP_MB = 512
JOURNAL_TOPIC = "kafkasql-journal"
SNAPSHOT_TOPIC = "kafkasql-snapshots"
TOPIC_SETTINGS = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
STORAGE_SETTINGS = {
    "quarkus.http.access-log.enabled": "false",
    "quarkus.otel.sdk.disabled": "true",
    "apicurio.storage.kind": "kafkasql",
    "apicurio.kafkasql.topic": JOURNAL_TOPIC,
    "apicurio.kafkasql.snapshots.topic": SNAPSHOT_TOPIC,
    "apicurio.kafkasql.consumer.poll.timeout": "100",
}


class RegistryPart:
    """The schema registry."""

    name = "registry"
    stop_signal = signal.SIGTERM
    start_seconds = 240.0
    needs: tuple[str, ...] = ("kafka",)

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Fetch and unpack the registry."""
        jars.unpacked("registry")

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Make the directory of its snapshots."""
        (site.part_dir(self.name) / "snapshots").mkdir(exist_ok=True)

    def command(self, site: Site) -> Command:
        """Return the registry's JVM; creates its topics first, because they must never expire.

        With the broker's retention an id would lose its text after a week, and another schema would get its
        number.
        """
        keep_forever(site.endpoints.kafka.bootstrap_servers)
        directory = site.part_dir(self.name)
        ports = site.settings.ports
        properties = {
            "quarkus.http.host": HOST,
            "quarkus.http.port": ports["registry"],
            "quarkus.management.host": HOST,
            "quarkus.management.port": ports["registry_management"],
            **STORAGE_SETTINGS,
            "apicurio.kafkasql.bootstrap.servers": site.endpoints.kafka.bootstrap_servers,
            "apicurio.storage.snapshot.location": directory / "snapshots",
        }
        flags = (
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *(f"-D{k}={v}" for k, v in properties.items()),
        )
        argv = java(HEAP_MB, flags, ("-jar", str(jars.unpacked("registry") / "quarkus-run.jar")))
        return Command(argv, directory)

    def missing(self, site: Site) -> str | None:
        """Return None once its storage is read back and Confluent's API lists subjects.

        The API answers before that, and says 404 to ids that the storage has.
        """
        ready = f"http://{HOST}:{site.settings.ports['registry_management']}/health/ready"
        for url in (ready, f"{site.endpoints.registry.url}/subjects"):
            try:
                answer = requests.get(url, timeout=5)
            except requests.RequestException as error:
                return f"the registry doesn't answer yet: {type(error).__name__}"
            if answer.status_code != 200:
                return f"the registry answers {answer.status_code}: {answer.text[:200]}"
        return None


def keep_forever(bootstrap_servers: str) -> None:
    """Create the registry's topics, one partition and no retention limit, where they don't exist."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
    topics = [
        NewTopic(name, num_partitions=1, replication_factor=1, config=TOPIC_SETTINGS)
        for name in (JOURNAL_TOPIC, SNAPSHOT_TOPIC)
    ]
    for future in admin.create_topics(topics).values():
        try:
            future.result(timeout=30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
