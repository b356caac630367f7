"""The engine that is asked for, open as long as it is used; nothing of it is imported without need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replicator.restore.opening import EngineName
from replicator.restore.plan import Plan
from replicator.restore.target import load
from replicator.restore.target.filling import Load


@contextmanager
def load_rows(name: EngineName, master: str | None, plan: Plan, scratch: Path) -> Iterator[Load]:
    """Who folds and copies the tables of the plan. `ConfigError` when Spark isn't installed or doesn't start.

    `scratch` is a directory that all workers share; `master` is Spark's.
    """
    if name == "local":
        yield load.by_kernel
        return
    from replicator.restore.spread.tables import SpreadLoader

    folder = scratch / "spread"
    folder.mkdir()
    if name == "datafusion":
        from replicator.restore.spread.on_datafusion import DataFusionEngine

        yield SpreadLoader(DataFusionEngine(), plan, folder).load
        return
    from replicator.restore.spread.on_spark import open_spark

    with open_spark(master, folder) as engine:
        yield SpreadLoader(engine, plan, folder).load
