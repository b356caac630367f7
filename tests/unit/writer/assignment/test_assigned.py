"""How an assigned partition gets from the group's word to its first record."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import pytest

from replicator.errors import IntegrityError, KafkaError
from replicator.segment.name import Chain, SegmentName
from replicator.storage.memory import MemoryStore
from replicator.writer.assignment.assigned import Assigned, State, verdict
from replicator.writer.assignment.resume import RecordsGoneError, resolve
from replicator.writer.destination import Fingerprint
from replicator.writer.kafka.commits import Committed
from replicator.writer.kafka.group import Cluster
from replicator.writer.partition.state_machine import Limits, PartitionWriter

MINE = Fingerprint("aaaaaaaaaaaa", "s3://ours")
TOPIC_ID = "x" * 22


def running() -> Assigned:
    assigned = Assigned("t", 0)
    assigned.begin(PartitionWriter(Chain("t", TOPIC_ID, 0), 7, Limits(100, 1.0)), None)
    return assigned


def test_a_partition_that_begins_has_its_position_to_commit() -> None:
    assigned = running()
    assert (assigned.state, assigned.durable, assigned.committed) == (State.RUNNING, 7, -1)


def test_a_stopped_partition_that_restarts_is_stopped_by_nothing_any_more() -> None:
    assigned = running()
    former = assigned.writer
    assigned.stop(KafkaError("a record that can't be stored"))
    assigned.restart()
    assert (assigned.state, assigned.error, assigned.writer) == (State.STARTING, None, None)
    assert former is not None
    assert former.dropped


def test_a_partition_that_left_has_nothing_to_commit() -> None:
    assigned = running()
    assigned.leave()
    assert assigned.state is State.GONE
    assert assigned.durable == assigned.committed == -1


class StubCluster:
    """A Kafka with one partition, whose records are `[earliest, end)`."""

    def __init__(self, committed: Committed | None, earliest: int, end: int) -> None:
        self._committed = committed
        self._earliest = earliest
        self._end = end

    def topic_ids(self, topics: list[str]) -> dict[str, str]:
        return dict.fromkeys(topics, TOPIC_ID)

    def committed(self, *_: Any) -> Committed | None:
        return self._committed

    def earliest(self, *_: Any) -> int:
        return self._earliest

    def ends(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(places, self._end)


def ours(offset: int) -> Committed:
    return Committed(offset, MINE.digest, MINE.words, TOPIC_ID)


def start_of(committed: Committed | None, *, earliest: int = 0, end: int = 100) -> tuple[int, int | None]:
    cluster = cast(Cluster, StubCluster(committed, earliest, end))
    start = resolve(cluster, MemoryStore(), "g", MINE, "t", 0)
    return start.position, start.committed


def test_a_partition_goes_on_at_the_commit_up_to_the_very_end_of_the_log() -> None:
    assert start_of(ours(100)) == (100, 100)


def test_an_offset_that_no_sink_committed_is_not_believed() -> None:
    assert start_of(Committed(70, None, None, None), earliest=20) == (20, None)


def test_a_commit_beyond_the_end_of_the_log_stops_the_partition() -> None:
    with pytest.raises(IntegrityError, match=r"below offset 101.*end at 100") as raised:
        start_of(ours(101))
    assert verdict(raised.value) == "stop"


def stored(*ranges: tuple[int, int], damaged: tuple[tuple[int, int], ...] = ()) -> MemoryStore:
    """A bucket with segments of those ranges; of the damaged ones the bytes aren't what the name says."""
    store = MemoryStore()
    for first, end in ranges:
        body = f"{first}-{end}".encode()
        sha256 = hashlib.sha256(body).hexdigest()
        name = SegmentName("t", TOPIC_ID, 0, first, end, sha256[:16])
        store.put(name.key(), body, sha256=sha256)
        if (first, end) in damaged:
            wrong = b"damaged"
            store.put(name.key(), wrong, sha256=hashlib.sha256(wrong).hexdigest(), if_absent=False)
    return store


def begin(
    store: MemoryStore, committed: int | None, *, earliest: int = 0, end: int = 100
) -> tuple[int, tuple[tuple[int, int], ...]]:
    stub = StubCluster(None if committed is None else ours(committed), earliest, end)
    start = resolve(cast(Cluster, stub), store, "g", MINE, "t", 0)
    return start.position, start.islands


def test_what_lies_beyond_the_commit_without_a_gap_is_not_written_again() -> None:
    assert begin(stored((0, 10), (10, 20), (20, 25)), 10) == (25, ())


def test_uploads_that_overtook_the_one_that_a_crash_cut_off_are_islands() -> None:
    assert begin(stored((0, 10), (20, 25), (25, 30), (40, 50)), 10) == (10, ((20, 30), (40, 50)))


def test_without_a_commit_an_upload_that_overtook_the_first_is_not_taken_for_the_first() -> None:
    assert begin(stored((20, 25)), None) == (0, ((20, 25),))


def test_without_a_commit_a_chain_older_than_kafka_goes_on_where_it_ends() -> None:
    assert begin(stored((0, 10), (10, 60)), None, earliest=50) == (60, ())


def test_a_gap_that_kafka_can_no_longer_fill_stops_the_partition() -> None:
    with pytest.raises(RecordsGoneError, match="below offset 10, and Kafka's records begin at 15"):
        begin(stored((0, 10), (20, 30)), 10, earliest=15)


def test_a_damaged_segment_of_the_tail_is_written_again_and_what_follows_it_is_not() -> None:
    store = stored((0, 10), (10, 20), (20, 30), damaged=((10, 20),))
    assert begin(store, 10) == (10, ((20, 30),))


def test_an_upload_beyond_the_end_of_the_log_stops_the_partition() -> None:
    with pytest.raises(IntegrityError, match="below offset 120"):
        begin(stored((110, 120)), 10)
