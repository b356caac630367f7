"""The bound on memory: what is sealed at it, and when partitions pause and go on."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from replicator.writer.memory.budget import should_pause, to_seal


@dataclass(eq=False)
class Holding:
    held: int
    open_bytes: int


@given(st.lists(st.integers(0, 50), max_size=10), st.integers(0, 100), st.integers(1, 200))
def test_sealing_at_the_bound_gets_half_of_it_going_or_all_there_is(
    opened: list[int], going: int, bound: int
) -> None:
    holders = [Holding(size, size) for size in opened]
    held = going + sum(opened)
    chosen = to_seal(holders, held, bound, going)
    if held < bound:
        assert chosen == []
        return
    left = [each.open_bytes for each in holders if each not in chosen]
    moved = going + sum(each.open_bytes for each in chosen)
    assert moved * 2 >= bound or not any(left)
    if chosen and left:
        assert min(each.open_bytes for each in chosen) >= max(left), "the fullest go first"


def test_partitions_pause_at_the_bound_and_go_on_well_below_it() -> None:
    assert not should_pause(99, 100, paused=False)
    assert should_pause(100, 100, paused=False)
    assert should_pause(70, 100, paused=True)
    assert not should_pause(59, 100, paused=True)
