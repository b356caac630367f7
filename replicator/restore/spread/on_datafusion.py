"""The fold on DataFusion, in this process: what Spark's is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datafusion
import pyarrow as pa

from replicator.restore.spread.engine import R, T, results
from replicator.restore.spread.task import Failure, Task
from replicator.restore.spread.writing import Written, write

_COLUMNS: dict[str, pa.DataType] = {
    "form": pa.int32(),
    "at_offset": pa.int64(),
    "record": pa.binary(),
    "copies": pa.int64(),
}
_RESULT = pa.schema(_COLUMNS)


class DataFusionEngine:
    """One worker; DataFusion itself uses what processors there are."""

    workers = 1

    def each(self, work: Callable[[T], R | Failure], items: Sequence[T]) -> list[R]:
        """One after the other."""
        return results([work(item) for item in items])

    def fold(self, sql: str, relations: Mapping[str, Path], task: Task) -> list[Written]:
        """One file; the context is made for it, and with it goes all that it holds."""
        context = datafusion.SessionContext()
        for name, path in relations.items():
            context.register_parquet(name, str(path))
        return results([write(task, 0, _batches(context.sql(sql)))])


def _batches(found: Any) -> Iterator[Any]:
    for batch in found.execute_stream():
        # Its views of binaries aren't what everybody else takes for binaries.
        yield batch.to_pyarrow().cast(_RESULT)
