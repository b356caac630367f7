"""Activation and release as they are done: offsets and event in one transaction, or neither."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
from confluent_kafka import TopicPartition

from replicator.config import Config
from replicator.control.decisions.beginning import beginnings
from replicator.control.events.event import Event
from replicator.control.observation.brokers import Brokers
from replicator.control.observation.kafka_view import KafkaView
from replicator.control.observation.stores import short_of_patience
from replicator.errors import RefusedError, ReplicatorError
from replicator.segment.name import Chain, Place
from replicator.writer.destination import Fingerprint, fingerprint, mark
from replicator.writer.kafka.commits import Committed, commit_metadata
from replicator.writer.kafka.group import group_of

_FRESH_S = 10.0
_log = structlog.get_logger()


class NotNowError(RefusedError):
    """An activation that can't be done at this moment; it is decided anew in the next round."""


@dataclass(frozen=True, slots=True)
class Activation:
    """What is written at once: the event, and the standby's offsets with what is committed beside them."""

    event: Event
    group: str
    offsets: tuple[TopicPartition, ...]


class Failover:
    """Prepares activations; writes nothing to Kafka itself."""

    def __init__(self, config: Config, brokers: Brokers, cluster_id: str) -> None:
        self._config = config
        self._brokers = brokers
        self._cluster_id = cluster_id

    def prepare(self, event: Event, failed: tuple[str, ...], view: KafkaView | None) -> Activation:
        """All that the standby needs to begin where a copy is missing.

        `NotNowError` without a fresh view of Kafka, while the standby's group has members, or when its store
        can't take the installation's mark; `KafkaError` when Kafka doesn't answer.
        """
        name = event.destination or ""
        if view is None or time.time() - view.at > _FRESH_S:
            raise NotNowError("Kafka wasn't seen for a while: where the standby should begin isn't known.")
        group = group_of(self._config.installation, name)
        members = self._brokers.members(group)
        if members:
            raise NotNowError(
                f"Group {group} still has {len(members)} members ({', '.join(members)}): its offsets aren't "
                "touched under them.",
                next_step="nothing, if it was just released: they leave when what they hold is stored",
            )
        mine = fingerprint(self._config.installation, self._config.destination(name))
        self._mark(name, view.commits.get(name, {}), mine)
        found = beginnings(
            view.ends,
            [view.commits.get(each, {}) for each in failed],
            self._brokers.beginnings([chain.place for chain in view.ends]),
        )
        reason = event.reason
        if found.gone:
            ranges = ", ".join(f"{chain} [{first}, {upto})" for chain, first, upto in found.gone)
            reason += f". Kafka no longer has {ranges}: to be copied from another destination"
        offsets = tuple(
            TopicPartition(
                each.topic,
                each.partition,
                each.offset,
                metadata=commit_metadata(mine, Chain(each.topic, each.topic_id, each.partition)),
            )
            for each in found.offsets
        )
        return Activation(replace(event, offsets=found.offsets, reason=reason), group, offsets)

    def _mark(self, name: str, commits: Mapping[Place, Committed], mine: Fingerprint) -> None:
        """The standby's group will have commits, and a sink takes a destination that has commits and no mark
        for one that was emptied."""
        patience_s = self._config.control.probe_patience_s
        ours = any(each.digest == mine.digest for each in commits.values())
        try:
            store = short_of_patience(self._config.destination(name), patience_s)
            try:
                mark(
                    store,
                    self._config.installation,
                    self._cluster_id,
                    lambda: ours,
                    name=name,
                    others=self._config.destinations,
                )
            finally:
                store.close()
        except ReplicatorError as error:
            raise NotNowError(f"{name} can't be made ready: {error.message}") from None
