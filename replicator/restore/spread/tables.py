"""Tables loaded by way of an engine: scanned and folded by its workers, copied and proven here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from replicator.debezium.transactions import Commits
from replicator.restore.plan import Plan
from replicator.restore.rows.surviving import Counted
from replicator.restore.spread import fold_sql, scan, task
from replicator.restore.spread.engine import Engine
from replicator.restore.spread.scan import Group, Scanned
from replicator.restore.spread.task import Part, Task
from replicator.restore.spread.writing import Written
from replicator.restore.table_rows import TableRows
from replicator.restore.target import load
from replicator.restore.target.database import Connection
from replicator.restore.target.load import CopyPart

# The published stubs know fewer argument types than the functions take.
pq: Any = pyarrow.parquet


class SpreadLoader:
    """Loads the tables of one plan, any number at once; `folder` is one that all workers share."""

    def __init__(self, engine: Engine, plan: Plan, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._commits = folder / "commits.parquet"
        write_commits(plan.history.commits, plan.cut.number, self._commits)

    def load(
        self, connection: Connection, taken: TableRows, *, fresh: bool
    ) -> tuple[Counted, list[tuple[str, str]]]:
        """The table's rows into the table; returns what was counted, and the columns of which values may have
        been changed on the way, and how. Raises as `load.copy` does.
        """
        rows = taken.rows()
        if not taken.any or not rows.table.columns or rows.removed_apart:
            # Which rows are equal only PostgreSQL can tell there, so nothing is left for workers to decide.
            return load.by_kernel(connection, taken, fresh=fresh)
        forms, parts = task.parts(taken.fold.frames)
        constants = load.constants(connection, rows.table, rows.constants())
        folder = self._folder / f"{rows.table.oid}"
        folder.mkdir()
        made = Task(
            rows.table,
            taken.fold.keyed,
            folder,
            forms,
            taken.folding,
            taken.added,
            taken.only,
            taken.types,
            constants,
        )
        try:
            return self._load(connection, taken, made, parts, fresh=fresh)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _load(
        self, connection: Connection, taken: TableRows, made: Task, parts: Sequence[Part], *, fresh: bool
    ) -> tuple[Counted, list[tuple[str, str]]]:
        written: list[Written] = []
        decided = Decided(self._engine, made, parts, self._commits)
        taken.fold.keyed = decided.keyed
        if taken.rows().removed_apart:
            return load.by_kernel(connection, taken, fresh=fresh)

        def files(*, as_text: bool) -> Sequence[CopyPart]:
            written[:] = decided.written(as_text=as_text)
            return [CopyPart(one.pieces(), one.as_binary, one.rows) for one in written]

        load.copy_parts(connection, made.table, files, fresh=fresh)
        decided.counted.rows = sum(one.rows for one in written)
        return decided.counted, sorted({caveat for one in written for caveat in one.caveats})


class Decided:
    """One table's records, scanned by the engine's workers, and the rows that its SQL makes of them.

    `counted` is what passed; `keyed` whether the primary key told rows apart. Raises as `Engine.each`.
    """

    def __init__(self, engine: Engine, made: Task, parts: Sequence[Part], commits: Path) -> None:
        self._engine = engine
        self._commits = commits
        self._task = made
        found = self._scan(parts)
        if made.keyed and any(each.has_row_without_key for each in found):
            self._task = made.by_image()
            found = self._scan(parts)
        self.keyed = self._task.keyed
        self.counted = sum_of(each.counted for each in found)

    def written(self, *, as_text: bool = False) -> list[Written]:
        """The rows as files; as text also those that have a binary form, if it is asked for."""
        name = f"records_{self._task.table.oid}"
        text = fold_sql.newest_of_each_key if self.keyed else fold_sql.images_left
        relations = {name: self._records, f"commits_{name}": self._commits}
        return self._engine.fold(
            text(name, f"commits_{name}"), relations, replace(self._task, as_text=as_text)
        )

    @property
    def _records(self) -> Path:
        return self._task.folder / ("by-key" if self._task.keyed else "by-image")

    def _scan(self, parts: Sequence[Part]) -> list[Scanned]:
        self._records.mkdir()
        groups = [
            Group(self._task, tuple(group), self._records / f"{number:06d}.parquet")
            for number, group in enumerate(task.groups(parts, self._engine.workers))
        ]
        return self._engine.each(scan.scan, groups)


def write_commits(commits: Commits, last: int, path: Path) -> None:
    """The transactions up to the cut as the relation that `fold_sql` joins."""
    arrays = commits.arrays()
    here = arrays["number"] <= last
    columns = {
        name: pa.array(np.asarray(arrays[of], np.int64)[here])
        for name, of in (("number", "number"), ("xid", "xid"), ("first_lsn", "begin"), ("last_lsn", "end"))
    }
    pq.write_table(pa.table(columns), path)


def sum_of(counts: Iterator[Counted]) -> Counted:
    """What several workers counted, as one."""
    total = Counted()
    for each in counts:
        for topic, events in each.events.items():
            known = total.events.setdefault(topic, {})
            for xid, count in events.items():
                known[xid] = known.get(xid, 0) + count
        for mine, theirs in ((total.snapshot_rows, each.snapshot_rows), (total.of_base, each.of_base)):
            for topic, count in theirs.items():
                mine[topic] = mine.get(topic, 0) + count
    return total
