"""What a base and the events after it come to, against the whole history, event by event."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.compact import multiset
from replicator.compact.copying import ChainCopy
from replicator.compact.epochs import Epochs
from replicator.compact.streams import digests, kept
from replicator.debezium.transactions import Commits
from replicator.restore.fold.folding import Fold
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import Rows
from replicator.restore.segments.catalog import Piece
from replicator.restore.segments.fetch import Fetched
from replicator.restore.segments.frames import Frame, frames
from replicator.segment import read
from replicator.segment.name import Chain, SegmentName, folded_root
from tests.unit.restore.fold.test_fold import CHANGES, PARTITIONS, TABLE, History

BASE = "0000000000000010-000000000001"


def based(
    before: list[Frame], key: list[str], commits: Commits, ddl: list[int], folder: Path
) -> tuple[list[Frame], bool]:
    """The frames of the base that these come to, read from what was stored, and whether it holds rows."""
    folded = Fold(before, key, commits, None)
    rows = Rows(TABLE, folded, {})
    _ = folded.survivors
    stored: dict[str, bytes] = {}
    epochs = Epochs(commits, ddl, len(commits))
    left = None if key else multiset.left(Rows(TABLE, folded, {}), 2**20)
    keyed = folded.keyed or left is not None
    root = folded_root(BASE, rows=keyed)
    copies = {
        partition: ChainCopy(
            Chain("i.public.t", "A" * 22, partition),
            root,
            epochs,
            lambda name, body, _: stored.__setitem__(name, body),
        )
        for partition in range(PARTITIONS)
    }
    for part in kept(rows, left):
        copies[part.frame.partition].add(part)
    for partition, copy in copies.items():
        segments = copy.finish(
            max((frame.stop for frame in before if frame.partition == partition), default=0)
        )
        for one, other in pairwise(segments):
            assert one.name.next == other.name.first
            assert one.last_commit < other.first_commit
        for number in ddl:
            assert not any(each.first_commit < number < each.last_commit for each in segments)
    fetched = []
    for number, (name, body) in enumerate(stored.items()):
        path = folder / f"base-{number}"
        path.write_bytes(body)
        opened, parsed = read.open_header(body), SegmentName.parse_folded(name)
        assert parsed is not None
        piece = Piece(parsed, len(body), parsed.first, parsed.next)
        fetched.append(
            Fetched(piece, path, opened.header, opened.record_schema, opened.blocks_at, opened.sync)
        )
    again = frames(fetched)
    alone = Rows(TABLE, Fold(again, key, Commits(), None), {})
    assert digests(kept(alone), keyed=keyed) == digests(kept(Rows(TABLE, folded, {}), left), keyed=keyed)
    return again, keyed


def restored(found: list[Frame], key: list[str], commits: Commits, memory: int) -> dict[int, str | None]:
    made = Fold(found, key, commits, None, None, memory)
    rows = Rows(TABLE, made, {})
    values = [tuple(row.values()) for batch in text_rows.batches(rows) for row in batch.to_pylist()]
    assert len(dict(values)) == len(values), "no row comes twice"
    assert sum(sum(each.values()) for each in rows.counted.events.values()) == len(commits) - commits.before
    return dict(values)


Change = tuple[int, str | None, bool]


def apply(history: History, changes: list[Change], *, moved: bool) -> None:
    for number, (key, value, delete) in enumerate(changes):
        history.change(key, value, delete=delete, moved=moved and number % 3 == 0)


@given(
    st.sets(st.integers(0, 9)),
    CHANGES,
    CHANGES,
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from([2**24, 2**16]),
    st.sampled_from([["id"], []]),
)
@settings(deadline=None, max_examples=60)
def test_a_base_and_what_follows_are_the_whole_history(
    snapshot: set[int],
    before: list[Change],
    after: list[Change],
    odd: tuple[bool, bool, bool, bool],
    memory: int,
    key: list[str],
) -> None:
    """Also with TRUNCATEs and keys that move between partitions, on either side of the base."""
    history = History(sorted(snapshot))
    truncated_before, truncated_after, moved_before, moved_after = odd
    apply(history, before, moved=moved_before)
    if truncated_before:
        history.truncate()
        apply(history, before[:5], moved=moved_before)
    last = len(history.commits)
    ends = [3 * len(records) for records in history.partitions]
    ddl = [last // 3, last // 2]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "1").mkdir()
        base, keyed = based(history.frames(folder / "1", 4), key, history.commits, ddl, folder)
        assert keyed, "also rows that are told by their images are folded"
        if truncated_after:
            history.truncate()
        apply(history, after, moved=moved_after)
        (folder / "2").mkdir()
        since = frames(
            [
                Fetched(
                    Piece(
                        frame.fetched.piece.name,
                        frame.fetched.piece.size,
                        max(frame.first, begin),
                        frame.stop,
                    ),
                    frame.fetched.held,
                    frame.fetched.header,
                    frame.fetched.record_schema,
                    frame.fetched.blocks_at,
                    frame.fetched.sync,
                )
                for frame in history.frames(folder / "2", 4)
                if frame.stop > (begin := ends[frame.partition])
            ]
        )
        commits = Commits(last)
        for number in range(last + 1, len(history.commits) + 1):
            one = history.commits[number]
            commits.add(f"{one.xid}:{one.begin}", f"{one.xid}:{one.end}", 0, 0, {})
        assert restored([*base, *since], key, commits, memory) == history.rows
