from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from replicator.compact.epochs import Epochs
from replicator.compact.streams import Kept
from replicator.debezium.transactions import Commits


def test_records_of_small_segments_that_are_read_as_one_keep_their_own_spans() -> None:
    """Three segments of an older base, of two, one and two records; DDL was logged by commits 4 and 9."""

    def member(key: str, count: int) -> Any:
        return SimpleNamespace(key=key, fetched=SimpleNamespace(header=SimpleNamespace(count=count)))

    members = (member("a", 2), member("b", 1), member("c", 2))
    frame = SimpleNamespace(of_base=True, members=members, key="a or one of the 2 after it")
    chunk = SimpleNamespace(rows=np.array([1, 2, 4]))
    epochs = Epochs(Commits(), [4, 9], 20, {"a": 0, "b": 4, "c": 5})
    assert epochs.of(cast("Kept", SimpleNamespace(chunk=chunk, frame=frame))).tolist() == [0, 1, 2]
    alone = SimpleNamespace(of_base=True, members=(), key="c", fetched=members[2].fetched)
    assert epochs.of(cast("Kept", SimpleNamespace(chunk=chunk, frame=alone))).tolist() == [2, 2, 2]
