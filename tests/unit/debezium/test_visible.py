"""Transactions as a snapshot shows them."""

from __future__ import annotations

import pytest

from replicator.debezium.visible import Visible


@pytest.mark.parametrize("round_", [0, 3])
def test_what_had_ended_is_shown_in_any_round_of_xids(round_: int) -> None:
    base = round_ * 2**32
    seen = Visible.parse(f"{base + 10}:{base + 20}:{base + 10},{base + 15}")
    assert [xid for xid in range(5, 25) if seen.shows(xid)] == [*range(5, 10), *range(11, 15), *range(16, 20)]
    assert [xid for xid in range(5, 25) if seen.began_later(xid)] == [*range(20, 25)]


def test_xids_that_begin_anew_are_later_ones() -> None:
    seen = Visible.parse(f"{2**32 - 2}:{2**32 - 1}:{2**32 - 2}")
    assert seen.shows(2**32 - 3) and not seen.shows(2**32 - 2)
    assert seen.began_later(3) and not seen.shows(3)


def test_a_snapshot_with_nothing_running() -> None:
    assert Visible.parse("731:731:").shows(730)
