from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.control.decisions.reach import Candidate, End, Reach, passed
from replicator.segment.name import Chain
from replicator.writer.kafka.commits import Committed

A, B = Chain("w.public.a", "A" * 22, 0), Chain("w.public.b", "B" * 22, 0)


def candidate(number: int, ends: dict[Chain, int]) -> Candidate:
    return Candidate(End(number * 100, number, number, number), ends, float(number))


def commits(offsets: dict[Chain, int]) -> dict[tuple[str, int], Committed]:
    return {(c.topic, c.partition): Committed(o, "f", "w", c.topic_id) for c, o in offsets.items()}


def test_every_partition_must_be_passed() -> None:
    ends = {A: 10, B: 5}
    assert passed(candidate(1, ends), commits({A: 10, B: 5}), ends)
    assert not passed(candidate(1, ends), commits({A: 10, B: 4}), ends)
    assert not passed(candidate(1, ends), commits({A: 10}), ends)


def test_an_empty_partition_needs_no_commit() -> None:
    ends = {A: 10, B: 0}
    assert passed(candidate(1, ends), commits({A: 10}), ends)


def test_a_commit_of_an_earlier_incarnation_of_the_topic_proves_nothing() -> None:
    again = Chain(A.topic, "C" * 22, 0)
    assert not passed(candidate(1, {again: 3}), commits({A: 10}), {again: 3})


def test_a_partition_that_the_candidate_did_not_know_counts_with_all_it_has() -> None:
    made = candidate(1, {A: 10})
    assert not passed(made, commits({A: 10, B: 6}), {A: 12, B: 7})
    assert passed(made, commits({A: 10, B: 7}), {A: 12, B: 7})


def test_a_topic_that_was_deleted_leaves_earlier_candidates_behind() -> None:
    reach = Reach()
    reach.offer(candidate(1, {A: 10, B: 5}))
    assert reach.look("x", commits({A: 10}), {A: 10}) is None
    reach.offer(candidate(2, {A: 10}))
    found = reach.look("x", commits({A: 10}), {A: 10})
    assert found is not None and found.end.xid == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=400))
def test_what_is_reached_is_committed_and_never_goes_back(steps: list[tuple[int, int, int]]) -> None:
    reach, ends, done = Reach(), {A: 1, B: 1}, {A: 0, B: 0}
    reached = 0
    for number, (grow_a, grow_b, move) in enumerate(steps, 1):
        ends = {A: ends[A] + grow_a, B: ends[B] + grow_b}
        reach.offer(candidate(number, dict(ends)))
        done = {chain: min(ends[chain], at + move) for chain, at in done.items()}
        found = reach.look("x", commits(done), ends)
        if found is not None:
            assert all(done[chain] >= end for chain, end in found.ends.items())
            assert found.end.lsn >= reached
            reached = found.end.lsn
    if all(done[chain] == end for chain, end in ends.items()) and steps:
        assert reached == len(steps) * 100, "a lane that has everything has reached the newest candidate"
