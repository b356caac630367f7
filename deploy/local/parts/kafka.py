"""Kafka: broker and KRaft controller in one JVM, exactly-once capable on its own."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import jars
from deploy.local.jvm import java, log4j_file
from deploy.local.keeper_client import Command, KeeperClient
from deploy.local.parts.port import Site
from deploy.local.settings import HOST

HEAP_MB = 1024

SERVER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "num.partitions": "3",
    # A mistyped topic is an error, not an empty topic. Whoever needs a topic creates it.
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Rows with large text: the worker's producer and the topics allow the same.
    "message.max.bytes": "20971520",
    "replica.fetch.max.bytes": "20971520",
    # A lone member need not wait for others; tests shorten session time-outs.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "10000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "1000",
    # A transaction of a dead Connect worker blocks read_committed readers until it is aborted.
    "transaction.max.timeout.ms": "900000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.retention.hours": "168",
    "log.retention.check.interval.ms": "60000",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "controlled.shutdown.enable": "true",
}


class KafkaPart:
    """The broker."""

    name = "kafka"
    stop_signal = signal.SIGTERM
    start_seconds = 180.0
    needs: tuple[str, ...] = ()

    def fetch(self, keeper: KeeperClient, log: Path) -> None:
        """Fetch Kafka's jars."""
        jars.fetch("kafka")

    def prepare(self, site: Site, keeper: KeeperClient) -> None:
        """Write server.properties and format the log directory once."""
        directory = site.part_dir(self.name)
        ports = site.settings.ports
        data = directory / "data"
        controller = f"{HOST}:{ports['kafka_controller']}"
        settings = {
            **SERVER_SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{ports['kafka']},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{ports['kafka']}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(data),
        }
        properties = directory / "server.properties"
        properties.write_text("".join(f"{k}={v}\n" for k, v in settings.items()), encoding="utf-8")
        log4j_file(directory)
        if (data / "meta.properties").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        argv = java(
            256,
            ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *self._logging(directory)),
            (
                "kafka.tools.StorageTool",
                "format",
                "-t",
                site.settings.kafka_cluster_id,
                "-c",
                str(properties),
            ),
            jars.fetch("kafka"),
        )
        keeper.run("kafka-format", Command(argv, directory), site.log("kafka-format"), timeout=120)

    def command(self, site: Site) -> Command:
        """Return the broker's JVM."""
        directory = site.part_dir(self.name)
        argv = java(
            HEAP_MB,
            ("-Xms256m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=50", *self._logging(directory)),
            ("kafka.Kafka", str(directory / "server.properties")),
            jars.fetch("kafka"),
        )
        return Command(argv, directory)

    def missing(self, site: Site) -> str | None:
        """Return None once the broker tells of itself."""
        try:
            socket.create_connection((HOST, site.settings.ports["kafka"]), timeout=1).close()
        except OSError as error:
            return f"Kafka doesn't listen yet: {error}"
        admin = AdminClient({"bootstrap.servers": site.endpoints.kafka.bootstrap_servers, "log_level": 2})
        try:
            brokers = admin.list_topics(timeout=5).brokers
        except KafkaException as error:
            return f"Kafka gives no metadata yet: {error}"
        return None if brokers else "Kafka knows of no broker yet"

    @staticmethod
    def _logging(directory: Path) -> tuple[str, ...]:
        return (f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}",)
