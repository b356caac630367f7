from __future__ import annotations

import pytest

from replicator.errors import RefusedError
from replicator.restore.moment.cut import ToMark
from replicator.restore.moment.marked import Marked, resolve

BEFORE = Marked("before the migration", 3, 700, 0x300, 1_000_000)
AFTER = Marked("after", 9, 705, 0x900, 2_000_000)


def test_a_mark_stands_for_the_transaction_that_set_it() -> None:
    assert resolve([BEFORE, AFTER], ToMark("after")) == ToMark("after", 9)


def test_a_name_set_twice_is_refused_with_both_moments() -> None:
    again = Marked("after", 12, 711, 0xC00, 3_000_000)
    with pytest.raises(RefusedError) as caught:
        resolve([AFTER, BEFORE, again], ToMark("after"))
    assert "--to-xid 705" in caught.value.message
    assert "1970-01-01 00:00:03" in caught.value.message
    assert caught.value.next_step is not None
    assert "--to-xid 711" in caught.value.next_step


def test_a_name_set_twice_in_one_transaction_is_one_moment() -> None:
    assert resolve([AFTER, AFTER], ToMark("after")).number == 9


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RefusedError, match="before the migration"):
        resolve([BEFORE], ToMark("before"))
    with pytest.raises(RefusedError, match=r"replicator\.mark"):
        resolve([], ToMark("before"))


def test_a_mark_of_before_the_snapshot_is_no_moment() -> None:
    with pytest.raises(RefusedError, match="before the initial snapshot"):
        resolve([Marked("old", 0, 0, 0, 0)], ToMark("old"))
