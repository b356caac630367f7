"""The fold as SQL gives what the fold of one machine gives, to the byte; that one is judged by replaying."""

from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.debezium.binary import HEADER, TRAILER
from replicator.errors import IntegrityError, RefusedError
from replicator.restore.errors import ProofError
from replicator.restore.fold.folding import Fold, Folding
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import Rows
from replicator.restore.segments.frames import Frame, together
from replicator.restore.spread import fold_sql, task
from replicator.restore.spread.on_datafusion import DataFusionEngine
from replicator.restore.spread.tables import Decided, write_commits
from replicator.restore.spread.task import Task
from tests.unit.restore.fold.test_fold import CHANGES, TABLE, History

KEY = ("id",)


def decided(history: History, frames: list[Frame], key: tuple[str, ...], folder: Path) -> Decided:
    write_commits(history.commits, len(history.commits), folder / "commits.parquet")
    forms, parts = task.parts(frames)
    made = Task(TABLE, bool(key), folder, forms, Folding(key))
    # What goes to other machines is pickled.
    made, parts = pickle.loads(pickle.dumps((made, parts)))
    return Decided(DataFusionEngine(), made, parts, folder / "commits.parquet")


def spread(history: History, size: int, key: tuple[str, ...], *, as_text: bool = False) -> bytes:
    with TemporaryDirectory() as name:
        found = decided(history, history.frames(Path(name), size), key, Path(name))
        [written] = found.written(as_text=as_text)
        assert written.as_binary is not as_text
        body = b"".join(written.pieces())
    assert sum(sum(each.values()) for each in found.counted.events.values()) == len(history.commits)
    return body if as_text else body.removeprefix(HEADER).removesuffix(TRAILER)


def alone(history: History, size: int, key: tuple[str, ...], *, as_text: bool = False) -> bytes:
    """What the restore of one machine writes."""
    with TemporaryDirectory() as name:
        frames = history.frames(Path(name), size)
        rows = Rows(TABLE, Fold(frames, key, history.commits, None), {})
        if as_text:
            return b"".join(map(text_rows.csv, text_rows.batches(rows)))
        return b"".join(rows.pieces({}))


@given(st.sets(st.integers(0, 9), min_size=1), CHANGES, st.integers(1, 7))
@settings(max_examples=15)
def test_the_newest_record_of_each_key_is_the_same(
    snapshot: set[int], changes: list[tuple[int, str | None, bool]], size: int
) -> None:
    history = History(sorted(snapshot))
    for key, value, delete in changes:
        history.change(key, value, delete=delete)
    assert spread(history, size, KEY) == alone(history, size, KEY)
    assert spread(history, size, KEY, as_text=True) == alone(history, size, KEY, as_text=True)


@given(st.sets(st.integers(0, 9), min_size=1), CHANGES, CHANGES)
@settings(max_examples=10)
def test_after_a_truncate_and_moves_between_partitions_it_is_the_same(
    snapshot: set[int],
    before: list[tuple[int, str | None, bool]],
    after: list[tuple[int, str | None, bool]],
) -> None:
    history = History(sorted(snapshot))
    for key, value, delete in before:
        history.change(key, value, delete=delete)
    history.truncate()
    for key, value, delete in after:
        history.change(key, value, delete=delete)
        history.change(key, value, moved=True)
    history.change(99, "last")
    assert spread(history, 5, KEY) == alone(history, 5, KEY)
    assert spread(history, 5, (), as_text=True) == alone(history, 5, (), as_text=True)


def test_of_identical_rows_as_many_are_left_as_were_not_taken_away() -> None:
    history = History([])
    for _ in range(3):
        # The same row again and again, in a table where nothing tells rows apart.
        history.rows.clear()
        history.change(7, "twin")
    history.change(8, "other")
    history.change(7, None, delete=True)
    assert spread(history, 2, (), as_text=True) == b'8,"other"\n7,"twin"\n7,"twin"\n'
    assert spread(history, 2, (), as_text=True) == alone(history, 2, (), as_text=True)


def test_a_row_that_is_taken_away_and_was_never_there_is_refused() -> None:
    history = History([])
    history.change(1, "a")
    history.rows[5] = "never written"
    history.change(5, None, delete=True)
    with pytest.raises(ProofError, match=r"public\.t has no key, and 1 of its deletes or updates"):
        spread(history, 2, (), as_text=True)


def test_an_event_beyond_the_cut_decides_nothing() -> None:
    history = History([1])
    history.change(1, "within")
    last = len(history.commits)
    history.change(1, "beyond")
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = decided(history, history.frames(folder, 10), KEY, folder)
        write_commits(history.commits, last, folder / "commits.parquet")
        [written] = found.written(as_text=True)
        assert b"".join(written.pieces()) == b'1,"within"\n'


def test_records_of_which_two_are_the_newest_both_come_out() -> None:
    # Then the table's primary key refuses them, and nothing is chosen by chance.
    assert "rank()" in fold_sql.newest_of_each_key("r", "c")
    history = History([1])
    history.partitions[0].append(dict(history.partitions[1][0]))
    assert spread(history, 10, KEY, as_text=True) == b'1,"snapshot 1"\n' * 2


def test_a_worker_that_reads_other_bytes_says_so() -> None:
    history = History([1, 2])
    with TemporaryDirectory() as name:
        folder = Path(name)
        frames = history.frames(folder, 10)
        held = frames[0].fetched.held
        assert isinstance(held, Path)
        body = bytearray(held.read_bytes())
        body[-20] ^= 1
        # The name is that of the bytes before.
        held.write_bytes(bytes(body))
        with pytest.raises(IntegrityError, match="a worker of Spark reads other bytes"):
            decided(history, frames, KEY, folder)


def test_a_worker_without_the_shared_directory_says_so() -> None:
    history = History([1, 2])
    with TemporaryDirectory() as name:
        folder = Path(name)
        frames = history.frames(folder, 10)
        held = frames[0].fetched.held
        assert isinstance(held, Path)
        held.unlink()
        with pytest.raises(RefusedError, match="can't read") as refused:
            decided(history, frames, KEY, folder)
    assert "--scratch" in str(refused.value)


def test_a_file_that_was_altered_after_it_was_written_is_refused() -> None:
    history = History([1, 2])
    with TemporaryDirectory() as name:
        folder = Path(name)
        [written] = decided(history, history.frames(folder, 10), KEY, folder).written()
        written.path.write_bytes(written.path.read_bytes() + b"\0")
        with pytest.raises(IntegrityError, match="isn't what a worker"):
            list(written.pieces())


def test_small_segments_that_are_one_frame_are_told_one_by_one() -> None:
    history = History(list(range(40)))
    with TemporaryDirectory() as name:
        frames = history.frames(Path(name), 2)
        joined = list(together(frames))
        assert len(joined) < len(frames)
        assert task.parts(joined) == task.parts(frames)


def test_groups_are_about_equal_and_bounded() -> None:
    history = History(list(range(40)))
    with TemporaryDirectory() as name:
        _, parts = task.parts(history.frames(Path(name), 2))
        sizes = [sum(part.piece.size for part in group) for group in task.groups(parts, 4)]
        assert 4 <= len(sizes) <= 6
        assert [part for group in task.groups(parts, 4) for part in group] == parts
        one = parts[0].piece.size
        assert all(len(group) == 1 for group in task.groups(parts, 1, group_bytes=one))
