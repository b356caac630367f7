"""The SQL of the fold on Spark and on DataFusion: the same rows, the same bytes, the same order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from replicator.debezium.binary import HEADER, TRAILER
from replicator.errors import IntegrityError
from replicator.restore.errors import ProofError
from replicator.restore.fold.folding import Folding
from replicator.restore.spread import task
from replicator.restore.spread.engine import Engine
from replicator.restore.spread.on_datafusion import DataFusionEngine
from replicator.restore.spread.on_spark import SparkEngine
from replicator.restore.spread.tables import Decided, write_commits
from replicator.restore.spread.task import Task
from tests.unit.restore.fold.test_fold import TABLE, History

SEED = 20


def told(*, truncated: bool) -> History:
    """A few thousand changes of a few hundred rows, some of them in another partition than before."""
    choice = random.Random(SEED)
    history = History(list(range(0, 300, 2)))
    for number in range(3000):
        if truncated and number == 1200:
            history.truncate()
        key = choice.randrange(400)
        value = choice.choice([None, "", "with, comma", 'with "quotes"', "ü\n🎂", f"value {number}"])
        history.change(key, value, delete=choice.random() < 0.3, moved=choice.random() < 0.1)
    history.change(1, "last")
    return history


def folded(engine: Engine, history: History, key: tuple[str, ...], folder: Path, *, as_text: bool) -> bytes:
    folder.mkdir()
    write_commits(history.commits, len(history.commits), folder / "commits.parquet")
    forms, parts = task.parts(history.frames(folder, 200))
    made = Task(TABLE, bool(key), folder, forms, Folding(key))
    found = Decided(engine, made, parts, folder / "commits.parquet")
    assert sum(sum(each.values()) for each in found.counted.events.values()) == len(history.commits)
    written = found.written(as_text=as_text)
    bodies = [b"".join(one.pieces()) for one in written]
    if not as_text:
        bodies = [body.removeprefix(HEADER).removesuffix(TRAILER) for body in bodies]
    return b"".join(bodies)


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("truncated", [False, True])
def test_both_engines_write_the_same_bytes(
    spark: SparkEngine, tmp_path: Path, key: tuple[str, ...], truncated: bool
) -> None:
    history = told(truncated=truncated)
    ours = folded(DataFusionEngine(), history, key, tmp_path / "datafusion", as_text=not key)
    theirs = folded(spark, history, key, tmp_path / "spark", as_text=not key)
    assert len(ours) > 1000
    assert theirs == ours


def test_what_a_worker_refuses_is_said_in_its_own_words(spark: SparkEngine, tmp_path: Path) -> None:
    history = History([])
    history.rows[5] = "never written"
    history.change(5, None, delete=True)
    with pytest.raises(ProofError, match="take away a row that was never written") as refused:
        folded(spark, history, (), tmp_path / "one", as_text=True)
    assert refused.value.next_step is not None
    frames = History([1, 2]).frames(tmp_path, 10)
    held = frames[0].fetched.held
    assert isinstance(held, Path)
    held.write_bytes(held.read_bytes()[:-1] + b"?")
    forms, parts = task.parts(frames)
    made = Task(TABLE, True, tmp_path, forms, Folding(("id",)))
    with pytest.raises(IntegrityError, match="reads other bytes"):
        Decided(spark, made, parts, tmp_path / "commits.parquet")
