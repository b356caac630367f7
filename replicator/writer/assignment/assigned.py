"""The partitions that the group gave to this member, and how each gets from there to records."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import structlog

from replicator.errors import ConfigError, IntegrityError, KafkaError, ReplicatorError
from replicator.storage import ObjectStore
from replicator.writer.assignment.resume import RecordsGoneError, Start, resolve
from replicator.writer.destination import Fingerprint
from replicator.writer.kafka.group import Cluster, client_id
from replicator.writer.partition.state_machine import PartitionWriter
from replicator.writer.process.pool import Pool, Supervisor

_log = structlog.get_logger()
_THREADS = 4
RETRY_S = 2.0
"""A partition whose start isn't known is looked at again after so long."""


class State(Enum):
    """How far an assigned partition is."""

    STARTING = "starting"
    """Its start is being looked for; there is no writer."""
    RUNNING = "running"
    """It takes records. In no other state does it."""
    SETTLING = "settling"
    """Kafka has nothing at its offset; its start is looked for again once all that it holds is durable."""
    STOPPED = "stopped"
    """It can't go on, and `error` says why; what its writer still has on the way is stored and committed."""
    GONE = "gone"
    """Revoked or lost: whatever still comes of it is ignored."""


@dataclass(slots=True, eq=False)
class Assigned:
    """One assigned partition. Its state changes by `begin`, `settle`, `stop`, `restart` and `leave` alone."""

    topic: str
    partition: int
    state: State = State.STARTING
    writer: PartitionWriter | None = None
    error: ReplicatorError | None = None
    durable: int = -1
    """What is to be committed."""
    committed: int = -1
    """What Kafka said is committed."""
    retry_at: float | None = None
    """When to look for its start again."""

    @property
    def name(self) -> str:
        """topic[partition]."""
        return f"{self.topic}[{self.partition}]"

    def begin(self, writer: PartitionWriter, committed: int | None) -> None:
        """Take records, from the writer's position on."""
        self.state, self.writer = State.RUNNING, writer
        self.committed = -1 if committed is None else committed
        self.durable = writer.position

    def settle(self) -> None:
        """Take no more records, and restart when what it holds is durable."""
        self.state = State.SETTLING

    def stop(self, error: ReplicatorError) -> None:
        """Take no more records."""
        self.state, self.error = State.STOPPED, error

    def restart(self) -> None:
        """Forget what is held: the start is to be looked for again."""
        self._drop()
        self.state, self.writer, self.error, self.retry_at = State.STARTING, None, None, None

    def leave(self) -> None:
        """The partition is somebody else's."""
        self._drop()
        self.state, self.retry_at = State.GONE, None

    def _drop(self) -> None:
        if self.writer is not None:
            self.writer.drop()
        self.durable = self.committed = -1


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where an assigned partition begins, or why that isn't known."""

    assigned: Assigned
    start: Start | ReplicatorError


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the group knows this member; False also when no answer came."""

    known: bool


class Resolver:
    """Asks in threads where partitions begin: neither Kafka nor a store may hold up the loop."""

    def __init__(
        self,
        cluster: Cluster,
        store: ObjectStore,
        group: str,
        mine: Fingerprint,
        supervisor: Supervisor,
        post: Callable[[Resolved | Membership], None],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._group = group
        self._mine = mine
        self._post = post
        self._pool = Pool("resume", _THREADS, supervisor)

    def resolve(self, assigned: Assigned) -> None:
        """Have the start found; `Resolved` follows, unless the partition is gone by then."""
        since = time.monotonic()
        self._pool.submit(lambda: self._resolve(assigned, since))

    def find_member(self) -> None:
        """Have the group asked whether it knows this member; `Membership` follows."""
        self._pool.submit(self._find_member)

    def _find_member(self) -> None:
        try:
            known = self._cluster.has_member(self._group, client_id(self._mine))
        except KafkaError:
            known = False
        self._post(Membership(known))

    def _resolve(self, assigned: Assigned, since: float) -> None:
        if assigned.state is State.GONE:
            return
        try:
            self._cluster.refuse_others(self._group, self._mine, since)
            start: Start | ReplicatorError = resolve(
                self._cluster, self._store, self._group, self._mine, assigned.topic, assigned.partition
            )
        except ReplicatorError as error:
            start = error
        self._post(Resolved(assigned, start))


def verdict(error: ReplicatorError) -> str:
    """What an error at the start of a partition means: `exit`, `stop` the partition, or `retry` after a
    while."""
    if isinstance(error, ConfigError):
        return "exit"
    # Of Kafka's errors only the missing range is certain; the others are silence, or trouble that passes.
    return "stop" if isinstance(error, RecordsGoneError | IntegrityError) else "retry"
