"""Numbers of commits, one at a time and by columns."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from replicator.debezium.transactions import Commits

PLACES = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 9)), max_size=30)


@given(PLACES, st.lists(st.tuples(st.integers(0, 7), st.integers(-5, 400)), max_size=30))
def test_columns_are_numbered_as_single_events_are(
    made: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    """Xids come round again, each time with later LSNs."""
    commits = Commits()
    lsn = 0
    for xid, length in made:
        commits.add(f"{xid}:{lsn}", f"{xid}:{lsn + length}", 0, 0, {})
        lsn += length + 1
    xids, lsns = (np.array([each[side] for each in asked], np.int64) for side in (0, 1))
    assert commits.numbers(xids, lsns).tolist() == [commits.number(*each) or 0 for each in asked]
