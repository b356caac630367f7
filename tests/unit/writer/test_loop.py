"""What the loop does about the words of Kafka and of its threads that come at bad moments."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError

from replicator.deadletter.letter import Reason
from replicator.fetch import librdkafka
from replicator.segment.name import SegmentName
from replicator.writer.assignment.assigned import State
from replicator.writer.delivery.segments import Refused, Stored
from replicator.writer.loop import TopicsCame
from replicator.writer.schemas.book import Refusal
from tests.unit.writer.looped import PLACE, Loop, Script

OUT_OF_RANGE = librdkafka.AUTO_OFFSET_RESET


def stored(loop: Loop) -> Script:
    """The oldest upload ends."""
    writer, segment = loop.uploads.pop(0)
    chain = segment.chain
    name = SegmentName(chain.topic, chain.topic_id, chain.partition, segment.first, segment.next, "0" * 16)
    loop.sink.post(Stored(writer, segment, name, 1, True, 0.0))
    yield


def test_records_that_kafka_no_longer_has_are_stored_before_the_start_is_looked_up() -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun()
        yield from loop.record(0)
        yield from loop.notice(OUT_OF_RANGE, 1)
        yield from loop.until("upload", lambda: loop.uploads)
        writer, segment = loop.uploads[0]
        assert (segment.first, segment.next, segment.reason) == (0, 1, "gone")
        assert not writer.dropped
        assert not loop.resolving
        assert "t[0]" in loop.health.problems()
        yield from loop.record(1)  # in the queue since before: it comes again, or is gone
        assert writer.expected == 1
        yield from stored(loop)
        yield from loop.until("question for the start", lambda: loop.resolving)
        assert loop.assigned.state is State.STARTING
        assert loop.reading[:2] == [0, -1]

    loop.run(script())


@pytest.mark.parametrize("offset", [10, 12])
def test_a_refused_offset_is_heard_also_behind_a_transaction_marker(offset: int) -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun(10)
        yield from loop.notice(OUT_OF_RANGE, offset)
        yield from loop.until("question for the start", lambda: loop.resolving)

    loop.run(script())


@pytest.mark.parametrize("code", [-199, -170, 3, 29])
def test_whatever_else_librdkafka_says_of_a_partition_has_its_start_looked_up(code: int) -> None:
    # After a damaged batch librdkafka reads on behind it: nothing of what follows may be taken.
    loop = Loop()

    def script() -> Script:
        yield from loop.begun(10)
        yield from loop.record(10)
        yield from loop.notice(code, 11)
        yield from loop.record(12)
        yield from loop.until("upload", lambda: loop.uploads)
        assert [segment.next for _, segment in loop.uploads] == [11]
        yield from stored(loop)
        yield from loop.until("question for the start", lambda: loop.resolving)
        assert loop.reading == [10, -1, -1]

    loop.run(script())


def test_a_log_that_diverged_has_the_start_looked_up() -> None:
    # librdkafka found, at a change of leaders, that the log ends before what it had read.
    loop = Loop()

    def script() -> Script:
        yield from loop.begun(10)
        yield from loop.notice(OUT_OF_RANGE, -1001)
        yield from loop.until("question for the start", lambda: loop.resolving)

    loop.run(script())


def test_a_refusal_of_an_offset_from_before_the_partition_stands_there_has_it_read_from_there() -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun(10)
        yield from loop.notice(OUT_OF_RANGE, 9)
        yield from loop.notice(OUT_OF_RANGE, 0)
        yield
        assert loop.assigned.state is State.RUNNING
        assert not loop.resolving
        assert loop.reading == [10, 10, 10]

    loop.run(script())


def test_a_member_without_partitions_is_ready_once_the_group_knows_it() -> None:
    loop = Loop()
    loop.memberships = [False, True]

    def script() -> Script:
        yield
        assert "group" in loop.health.problems()
        yield from loop.until("readiness", lambda: not loop.health.problems())

    loop.run(script())


def test_the_end_takes_one_drain_deadline_though_closing_revokes_every_partition() -> None:
    loop = Loop(drain_deadline_s=0.5)

    def script() -> Script:
        yield from loop.begun()
        yield from loop.record(0)  # its upload never ends

    began = time.monotonic()
    loop.run(script())
    assert 0.5 <= time.monotonic() - began < 0.95


def test_refused_commits_are_sent_again_after_a_while_and_readyz_tells_of_them() -> None:
    loop = Loop()
    loop.refusing = KafkaError.GROUP_AUTHORIZATION_FAILED

    def script() -> Script:
        yield from loop.begun(7)
        yield from loop.record(7)
        loop.sink.flush()
        yield from stored(loop)
        yield from loop.until("commit", lambda: loop.commits)
        began = time.monotonic()
        yield from loop.until("second commit", lambda: len(loop.commits) > 1)
        assert time.monotonic() - began > 0.8
        yield from loop.until("trouble", lambda: "commits" in loop.health.problems())
        loop.refusing = None
        yield from loop.until("recovery", lambda: "commits" not in loop.health.problems())
        assert loop.assigned.committed == 8

    loop.run(script())


def test_a_revoked_partition_whose_last_commit_was_refused_is_not_committed_again() -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun(7)
        yield from loop.record(7)
        loop.sink.flush()
        loop.refusing = KafkaError.FENCED_MEMBER_EPOCH
        yield from stored(loop)
        loop.on_revoke(loop, [PLACE])
        sent = len(loop.commits)
        end = time.monotonic() + 1.5
        yield from loop.until("the wait for another commit to pass", lambda: time.monotonic() > end)
        assert len(loop.commits) == sent
        assert all(loop.commits)

    loop.run(script())


def test_a_stopped_partition_names_the_offset_below_which_everything_is_stored() -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun(7)
        yield from loop.record(7)
        yield from loop.record(8)
        loop.sink.flush()
        writer, segment = loop.uploads.pop()
        changed = Refusal(Reason.UNUSABLE_SCHEMA, "Its schema isn't what it was.", stops=True)
        loop.sink.post(Refused(writer, segment, 8, changed))
        yield from loop.until("stop", lambda: loop.assigned.error)
        assert "stopped at offset 8" in str(loop.assigned.error)
        assert "below offset 7 is stored" in str(loop.assigned.error)

    loop.run(script())


def test_topics_that_come_while_a_revoked_partition_drains_are_named_by_the_next_round() -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun()
        yield from loop.record(0)
        loop.sink.flush()
        loop.sink.post(TopicsCame(["t.new"]))
        for _ in stored(loop):
            loop.on_revoke(loop, [PLACE])  # waits for the upload, and so hears of the topic before
        assert not loop.sink.partitions
        assert loop.subscribed == [["^t$"]], "inside of the group's callback"
        yield
        assert loop.subscribed == [["^t$"], ["^t$", "t.new"]]
        yield
        assert len(loop.subscribed) == 2, "once"

    loop.run(script())


def test_topics_that_come_while_the_sink_drains_for_its_end_are_not_named() -> None:
    loop = Loop()

    def script() -> Script:
        yield from loop.begun()
        yield from loop.record(0)
        loop.sink.flush()
        loop.sink.post(TopicsCame(["t.new"]))
        for _ in stored(loop):
            pass

    loop.run(script())
    assert loop.commits == [[1]], "it has heard all"
    assert loop.subscribed == [["^t$"]]
