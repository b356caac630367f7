"""Where a partition goes on: from the group's commit, and from what the bucket has beyond it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import structlog

from replicator.errors import ConfigError, IntegrityError, KafkaError
from replicator.segment.name import Chain, SegmentName
from replicator.storage import ErrorKind, ObjectStore, StorageError
from replicator.writer.destination import Fingerprint
from replicator.writer.kafka.group import Cluster

_log = structlog.get_logger()
_VERIFIED_TAIL = 16
"""So many segments at the end of a chain are read and compared with their names; more never float."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin. `committed` is the group's offset, None where it has none for this incarnation.

    `islands` are the ranges `[first, next)` beyond `position` that are durable: uploads finish in any order,
    and a crash may have let a later one through.
    """

    chain: Chain
    position: int
    committed: int | None
    islands: tuple[tuple[int, int], ...] = ()


class TopicGoneError(KafkaError):
    """The topic doesn't exist any more."""


class RecordsGoneError(KafkaError):
    """Kafka no longer has the records that come next: going on would leave a hole."""


def resolve(
    cluster: Cluster, store: ObjectStore, group: str, mine: Fingerprint, topic: str, partition: int
) -> Start:
    """Where the partition's next segment begins, so that nothing is skipped and nothing durable is written
    again.

    `ConfigError` if another configuration committed this group's offset; `RecordsGoneError` if Kafka no
    longer has the records that come next, `IntegrityError` if it never had all that is durable; `KafkaError`
    if it doesn't answer; `StorageError` as the store raises it.
    """
    topic_id = cluster.topic_ids([topic]).get(topic)
    if topic_id is None:
        raise TopicGoneError(f"Topic {topic} doesn't exist any more.")
    if isinstance(topic_id, KafkaError):
        raise topic_id
    chain = Chain(topic, topic_id, partition)
    committed = cluster.committed(group, topic, partition)
    if committed is not None and committed.digest is None:
        _log.warning(
            "the group's offset wasn't committed by a sink; where to go on is read from the destination",
            topic=topic,
            partition=partition,
            offset=committed.offset,
        )
        committed = None
    if committed is not None and committed.digest != mine.digest:
        raise ConfigError(
            f"Group {group} committed {chain} at {committed.offset} for another place: {committed.words} "
            f"({committed.digest}); this configuration writes to {mine}. Going on there would leave a hole.",
            next_step="restore the former configuration, or give this destination a new name (it then "
            "begins from the earliest records that Kafka has)",
        )
    at = None
    if committed is not None:
        if committed.topic_id in (None, chain.topic_id):
            at = committed.offset
        else:
            _log.warning(
                "topic was recreated; its new chain begins at its first record",
                topic=topic,
                partition=partition,
                topic_id=chain.topic_id,
                former_topic_id=committed.topic_id,
                former_offset=committed.offset,
            )
    durable = stored_ranges(store, chain, at)
    earliest = cluster.earliest(topic, partition)
    end = cluster.ends([(topic, partition)])[topic, partition]
    top = durable[-1][1] if durable else at or 0
    if top > end:
        raise IntegrityError(
            f"{chain} (topic id {chain.topic_id}): this destination has everything below offset {top} "
            f"(committed: {at}), but Kafka's records end at {end}. Either the brokers lost records, or the "
            "group's offset was moved by hand; records that come now would take offsets that are in use. "
            "Nothing was skipped; the partition stops here.",
            next_step="if the offset was moved, move it back; if Kafka lost records, take a new base with a "
            "snapshot into a new topic",
        )
    position = at
    if position is None:
        # Nothing tells a chain's first segment from one that a crash let through before the first.
        position = min(earliest, durable[0][0]) if durable else earliest
    if durable and durable[0][0] == position:
        position = durable.pop(0)[1]
    if at is None and not durable and position == earliest > 0:
        _log.warning(
            "Kafka no longer has the partition's first records; the chain begins after them",
            topic=topic,
            partition=partition,
            first=earliest,
        )
    if position < earliest:
        raise RecordsGoneError(
            f"{chain} (topic id {chain.topic_id}): this destination has everything below offset {position}, "
            f"and Kafka's records begin at {earliest}: {earliest - position} offsets are gone from Kafka. "
            "Nothing was skipped; the partition stops here.",
            next_step="copy the range from another destination, or take a new base with a snapshot",
        )
    return Start(chain, position, at, tuple(durable))


def stored_ranges(store: ObjectStore, chain: Chain, start: int | None) -> list[tuple[int, int]]:
    """What the chain's segments cover from `start` on (from its beginning, for None), as ranges
    `[first, next)`: in order, with a gap between any two.

    The last segments are read: one whose bytes aren't what its name says counts as not there.
    """
    prefix = chain.prefix()
    after = None if start is None else f"{prefix}{start:020d}"
    names = [name for info in store.list(prefix, start_after=after) if (name := SegmentName.parse(info.key))]
    tail = names[-_VERIFIED_TAIL:]
    ranges: list[tuple[int, int]] = []
    for name in [*names[: len(names) - len(tail)], *(name for name in tail if _whole(store, name))]:
        if ranges and name.first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], name.next))
        else:
            ranges.append((name.first, name.next))
    return ranges


def _whole(store: ObjectStore, name: SegmentName) -> bool:
    try:
        body = store.get(name.key())
    except StorageError as error:
        if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.CORRUPT):
            _log.error("a segment of the tail can't be read; it is written again", segment=name.key())
            return False
        raise
    if hashlib.sha256(body).hexdigest()[:16] != name.sha256_16:
        _log.error("a segment of the tail is damaged; it is written again", segment=name.key())
        return False
    return True
