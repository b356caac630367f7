"""Kafka Connect: one distributed worker with exactly-once sources, Debezium and our converter."""

from __future__ import annotations

import signal
from pathlib import Path

import requests

from deploy.local import converter, jars
from deploy.local.jvm import java, log4j_file
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST

HEAP_MB = 1536
CONNECTOR_CLASS = "io.debezium.connector.postgresql.PostgresConnector"

WORKER_SETTINGS = {
    "group.id": "replicator-connect",
    "config.storage.topic": "connect-configs",
    "offset.storage.topic": "connect-offsets",
    "status.storage.topic": "connect-status",
    "config.storage.replication.factor": "1",
    "offset.storage.replication.factor": "1",
    "status.storage.replication.factor": "1",
    "offset.storage.partitions": "5",
    "status.storage.partitions": "1",
    "exactly.once.source.support": "enabled",
    "plugin.discovery": "service_load",
    "connector.client.config.override.policy": "All",
    "topic.creation.enable": "true",
    # Connectors name their own converters; these serve what has none.
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    # One worker: when it was killed there is no other to wait for, its tasks restart as soon as it is back.
    "scheduled.rebalance.max.delay.ms": "0",
    "session.timeout.ms": "10000",
    "heartbeat.interval.ms": "2000",
    # Throughput: fewer, larger, cheaply compressed batches. A poll is one transaction, flushed at its end, so
    # lingering adds no latency beyond it.
    "producer.compression.type": "lz4",
    "producer.linger.ms": "20",
    "producer.batch.size": "524288",
    "producer.buffer.memory": "134217728",
    "producer.max.request.size": "20971520",
}


def worker_properties(**addresses: str) -> str:
    """Return the worker's configuration file: its settings, and the machine's own (`a_b` for `a.b`)."""
    settings = WORKER_SETTINGS | {name.replace("_", "."): value for name, value in addresses.items()}
    return "".join(f"{key}={value}\n" for key, value in settings.items())


class ConnectPart:
    """The worker."""

    name = "connect"
    stop_signal = signal.SIGTERM
    start_seconds = 240.0
    needs: tuple[str, ...] = ("kafka",)

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Fetch Connect, Debezium and the converter, and compile the subclass."""
        jars.fetch("kafka")
        converter.plugin_dir()

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Write the worker's properties."""
        directory = site.part_dir(self.name)
        properties = worker_properties(
            bootstrap_servers=site.endpoints.kafka.bootstrap_servers,
            listeners=site.endpoints.connect.url,
            rest_advertised_host_name=HOST,
            plugin_path=str(converter.plugin_dir()),
        )
        (directory / "worker.properties").write_text(properties, encoding="utf-8")
        log4j_file(directory)

    def command(self, site: Site) -> Command:
        """Return the worker's JVM."""
        directory = site.part_dir(self.name)
        argv = java(
            HEAP_MB,
            (
                "-Xms384m",
                "-XX:+UseParallelGC",
                f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}",
            ),
            ("org.apache.kafka.connect.cli.ConnectDistributed", str(directory / "worker.properties")),
            jars.fetch("kafka"),
        )
        return Command(argv, directory)

    def missing(self, site: Site) -> str | None:
        """Return None once connectors can be listed and Debezium is among the plugins."""
        url = site.endpoints.connect.url
        try:
            health = requests.get(f"{url}/health", timeout=5)
            if health.status_code != 200:
                return f"Connect isn't healthy yet: {health.text[:200]}"
            plugins = requests.get(f"{url}/connector-plugins", timeout=5).json()
        except requests.RequestException as error:
            return f"Connect doesn't answer yet: {type(error).__name__}"
        if CONNECTOR_CLASS not in {plugin["class"] for plugin in plugins}:
            return f"Connect hasn't found {CONNECTOR_CLASS} in its plugin path"
        return None
