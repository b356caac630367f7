"""The fold on Spark. Its workers run this package; the JVM moves bytes, compares and sorts them."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from replicator.errors import ConfigError, ReplicatorError
from replicator.restore.spread.engine import R, T, results
from replicator.restore.spread.task import Failure, Task
from replicator.restore.spread.writing import Written, write

_SMALL_SHUFFLE = "16"
"""Partitions of a shuffle on one machine, unless configured; Spark's own 200 are meant for a cluster."""


class SparkEngine:
    """A session of Spark's; `open_spark` makes one."""

    def __init__(self, session: Any) -> None:
        self._session = session

    @property
    def workers(self) -> int:
        """Cores that Spark has now."""
        return int(self._session.sparkContext.defaultParallelism)

    def each(self, work: Callable[[T], R | Failure], items: Sequence[T]) -> list[R]:
        """As many tasks of Spark's as there are items."""
        packed = [pickle.dumps(item) for item in items]
        with _explained():
            given = self._session.range(0, len(packed), 1, max(1, len(packed)))
            found = given.mapInArrow(partial(_work, work, packed), "number BIGINT, answer BINARY").collect()
        return results([pickle.loads(row["answer"]) for row in sorted(found, key=lambda row: row["number"])])

    def fold(self, sql: str, relations: Mapping[str, Path], task: Task) -> list[Written]:
        """One file for each partition of the sorted result that has rows."""
        with _explained():
            for name, path in relations.items():
                self._session.read.parquet(path.absolute().as_uri()).createOrReplaceTempView(name)
            try:
                found = (
                    self._session.sql(sql)
                    .mapInArrow(partial(_write, task), "partition BIGINT, answer BINARY")
                    .collect()
                )
            finally:
                for name in relations:
                    self._session.catalog.dropTempView(name)
        ordered = sorted(found, key=lambda row: int(row["partition"]))
        return results([pickle.loads(row["answer"]) for row in ordered])


def _work(work: Callable[[Any], Any], packed: Sequence[bytes], batches: Iterator[Any]) -> Iterator[Any]:
    """In a worker: what the work makes of the items with the numbers in the batches."""
    for batch in batches:
        for number in batch.column("id").to_pylist():
            yield _answer("number", number, work(pickle.loads(packed[number])))


def _write(task: Task, batches: Iterator[Any]) -> Iterator[Any]:
    """In a worker: one partition of the result; says in one row what became of it, in none without rows."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None  # this runs in a task
    number = context.partitionId()
    first = next(batches, None)
    if first is None:
        return
    yield _answer("partition", number, write(task, number, _with_first(first, batches)))


def _answer(name: str, number: int, answer: Any) -> Any:
    import pyarrow as pa

    columns: list[Any] = [pa.array([number], pa.int64()), pa.array([pickle.dumps(answer)], pa.binary())]
    return pa.RecordBatch.from_arrays(columns, [name, "answer"])


def _with_first(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


@contextmanager
def open_spark(master: str | None, scratch: Path) -> Iterator[SparkEngine]:
    """An engine on `master`; None is what Spark itself is configured with, which is this machine by default.

    A session that the process has already is used, and left as it is. With a master of this machine alone
    Spark's own files go to `scratch`, and it listens nowhere else. `ConfigError` when Spark isn't installed
    or doesn't start.
    """
    try:
        import pandas  # noqa: F401 - Spark asks for it where it hands Arrow's columns to Python
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigError(
            f"--engine spark needs Spark, and it isn't installed here: {error}.",
            next_step="pip install 'wedding-replicator[spark]', on the workers too; or restore with "
            "--engine local",
        ) from None
    running = SparkSession.getActiveSession()
    if running is not None:
        yield SparkEngine(running)
        return
    # Workers on this machine are to be this Python, with all that is installed in it.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("replicator restore")
    if master is not None:
        builder = builder.master(master)
    if master is not None and master.startswith("local"):
        builder = (
            builder.config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.local.dir", str(scratch))
            .config("spark.sql.shuffle.partitions", _SMALL_SHUFFLE)
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.log.level", "ERROR")
        )
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        session = builder.getOrCreate()
    except (PySparkException, RuntimeError, OSError) as error:
        raise ConfigError(
            f"Spark doesn't start: {str(error).splitlines()[0]}",
            next_step="Spark 4 needs Java 17 or 21 (JAVA_HOME), and --spark-master a master that answers",
        ) from error
    # Ctrl-C ends a restore as ever; Spark's own handler would talk to the JVM from within the signal.
    _restore_handler(interrupt)
    # A call that is cut off is told as an error, or was wanted.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        yield SparkEngine(session)
    finally:
        with suppress(Py4JError, OSError):
            # One that is gone has nothing to stop, and why it went was told.
            session.stop()


def _restore_handler(handler: Any) -> None:
    try:
        signal.signal(signal.SIGINT, handler)
    except (ValueError, TypeError):
        return  # not the main thread, where Spark sets none either; or one that C had set


@contextmanager
def _explained() -> Iterator[None]:
    """Spark's errors in words: the workers' own are told as results, so these are about Spark."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
        raise ReplicatorError(
            f"Spark gave up: {told[:600]}",
            next_step="see the log of the Spark application; every worker needs this version of "
            "wedding-replicator and the directory of --scratch. Or restore with --engine local",
        ) from error
