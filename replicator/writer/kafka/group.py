"""Kafka as the sink sees it: its consumer's settings, and what it asks the brokers beside consuming."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from replicator import config
from replicator.errors import ConfigError, KafkaError
from replicator.fetch.ends import UnansweredError, offsets
from replicator.segment.name import Place, url_safe_topic_id
from replicator.writer.destination import Fingerprint
from replicator.writer.kafka.commits import Commits, Committed
from replicator.writer.kafka.members import Member, NoAnswerError, Roster

_TIMEOUT_S = 15.0
_CLIENT = "replicator-sink"
_T = TypeVar("_T")


def group_of(installation: str, destination: str) -> str:
    """The writer group of a destination; installations may share a Kafka."""
    return f"replicator.{installation}.{destination}"


def topics_of(installation: str) -> str:
    """The subscription: every topic of the installation, those to come included (RE2/J, matched by the
    broker)."""
    return f"^{re.escape(installation)}\\..*".replace("\\-", "-")


def member_settings(kafka: config.Kafka, group: str, fingerprint: Fingerprint) -> dict[str, Any]:
    """librdkafka's settings for the member of the group, which reads nothing."""
    return kafka.client(
        **{
            **_common(group, fingerprint),
            # Incremental rebalances by the broker: partitions that stay are never interrupted.
            "group.protocol": "consumer",
            "queued.min.messages": 1,
            "max.partition.fetch.bytes": 4096,
        }
    )


def fetch_settings(
    kafka: config.Kafka, group: str, fingerprint: Fingerprint, queue_kib: int
) -> dict[str, Any]:
    """librdkafka's settings for the fetcher, `queue_kib` bounding what it fetches ahead.

    It joins no group; it is given the name of one because librdkafka wants one, and asks who coordinates it.
    """
    return kafka.client(
        **{
            **_common(group, fingerprint),
            "isolation.level": "read_committed",
            # A damaged batch is told instead of stored.
            "check.crcs": True,
            # The end of a partition lies behind the last transaction's marker, which is no record.
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": queue_kib,
            "queued.min.messages": 100_000,
            "fetch.max.bytes": 4 * 2**20,
            "max.partition.fetch.bytes": 2**20,
            # The default wait of a second after a full queue starves a reader that empties it in a tenth.
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 100,
        }
    )


def _common(group: str, fingerprint: Fingerprint) -> dict[str, str | int | bool]:
    return {
        "group.id": group,
        "client.id": client_id(fingerprint),
        "enable.auto.commit": False,
        "topic.metadata.refresh.interval.ms": 5000,
        # Where to begin is decided here, with the bucket's help; an offset that is gone must be an error.
        "auto.offset.reset": "error",
    }


def client_id(fingerprint: Fingerprint) -> str:
    """Names this member so that others can see what it writes to."""
    return f"{_CLIENT}.{fingerprint.digest}.{socket.gethostname()}.{os.getpid()}"


class Cluster:
    """Questions to the brokers. Safe to share between threads; `KafkaError` when no answer comes."""

    def __init__(
        self,
        kafka: config.Kafka,
        name: str,
        *,
        connect: Callable[[dict[str, Any]], Any] = AdminClient,
    ) -> None:
        settings = kafka.client(**{"client.id": name})
        self._servers = kafka.bootstrap_servers
        self._admin = connect(settings)
        self._commits = Commits(settings)
        self._roster = Roster(settings, _TIMEOUT_S)

    def cluster_id(self) -> str:
        """The Kafka cluster's own id."""
        described = self._wait(self._admin.describe_cluster(request_timeout=_TIMEOUT_S), "its id")
        return str(described.cluster_id)

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str | KafkaError]:
        """The ids of the topics that exist, fit for an object's key; for a topic that Kafka doesn't describe,
        the error instead. Never raises one: of many topics the others are answered."""
        asked = self._admin.describe_topics(TopicCollection(sorted(set(topics))), request_timeout=_TIMEOUT_S)
        found: dict[str, str | KafkaError] = {}
        for topic, future in asked.items():
            try:
                found[topic] = url_safe_topic_id(str(future.result(_TIMEOUT_S).topic_id))
            except KafkaException as error:
                if error.args[0].name() not in ("UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID"):
                    found[topic] = self._failed(f"the id of topic {topic}", error)
            except TimeoutError as error:
                found[topic] = self._failed(f"the id of topic {topic}", error)
        return found

    def committed(self, group: str, topic: str, partition: int) -> Committed | None:
        """The group's committed offset for the partition, None without one."""
        return self.commits(group, [(topic, partition)]).get((topic, partition))

    def has_committed(self, group: str, mine: Fingerprint, pattern: str) -> bool:
        """Whether the group has an offset that was committed for this place, of any partition of the topics
        whose whole name matches."""
        commits = self.commits(group, self.partitions(pattern))
        return any(each.digest == mine.digest for each in commits.values())

    def commits(self, group: str, places: Iterable[Place]) -> dict[Place, Committed]:
        """What the group has committed of these; nothing of a transaction that is still on its way."""
        try:
            return self._commits.read(group, places, _TIMEOUT_S)
        except KafkaException as error:
            raise self._failed(f"the offsets of group {group}", error) from None

    def earliest(self, topic: str, partition: int) -> int:
        """The lowest offset that Kafka still has."""
        place = (topic, partition)
        return self._offsets([place], OffsetSpec.earliest())[place]  # type: ignore[no-untyped-call]

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Where a read_committed consumer's records end now."""
        return self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def partitions(self, pattern: str) -> list[Place]:
        """The partitions of all topics whose whole name matches."""
        try:
            topics = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            raise self._failed("the list of topics", error) from None
        matching = re.compile(pattern)
        return [(name, p) for name in topics if matching.fullmatch(name) for p in topics[name].partitions]

    def has_member(self, group: str, client: str) -> bool:
        """Whether the group has a running member of that client id, with partitions or without."""
        return any(member.client_id == client for member in self._members(group))

    def refuse_others(self, group: str, mine: Fingerprint, since: float | None = None) -> None:
        """`ConfigError` if a running member of the group writes elsewhere than we would; `since` as
        `Roster.members` has it."""
        for member in self._members(group, since):
            kind, _, rest = member.client_id.partition(".")
            digest, _, place = rest.partition(".")
            if kind == _CLIENT and digest != mine.digest:
                raise ConfigError(
                    f"Group {group} has a member at {place} ({member.host}) that writes to another place "
                    f"({digest}) than this configuration's {mine}. Together they would leave holes in both.",
                    next_step="give the two destinations different names, or make their configurations equal",
                )

    def _members(self, group: str, since: float | None = None) -> list[Member]:
        try:
            return self._roster.members(group, since)
        except NoAnswerError as error:
            raise self._failed(f"the members of group {group}", error) from None

    def _offsets(
        self,
        places: Iterable[Place],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
        *,
        none: int | None = None,
        gone: Sequence[str] = (),
        timeout_s: float = _TIMEOUT_S,
    ) -> dict[Place, int]:
        try:
            return offsets(self._admin, places, spec, isolation, timeout_s, none=none, gone=gone)
        except UnansweredError as error:
            raise self._failed(f"offsets of {error.topic}", error.why) from None

    def _wait(self, future: Any, what: str) -> Any:
        try:
            return future.result(_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise self._failed(what, error) from None

    def _failed(self, what: str, error: object) -> KafkaError:
        if isinstance(error, KafkaException):
            error = error.args[0]
        reason = error.str() if hasattr(error, "str") else (str(error) or "no answer in time")
        return KafkaError(
            f"Kafka at {self._servers} didn't tell {what}: {reason}",
            next_step="check that the brokers are up and that `kafka:` names them and the right credentials",
        )
