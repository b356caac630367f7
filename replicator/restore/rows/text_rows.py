"""The rows of a table as text for COPY: for what has no binary form, and where rows are told by their images.

Arrow takes a tenth of a second to start, so this is imported only for tables that need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from replicator.debezium.columns import encode
from replicator.debezium.values import ValueRefusedError
from replicator.errors import RefusedError
from replicator.restore.fold import images
from replicator.restore.rows.surviving import Rows
from replicator.restore.schema.epochs import Epoch
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import AFTER, BEFORE, KEY, LSN, OP, XID, Scanner

_OPTIONS: Any = pa.csv.WriteOptions(include_header=False, quoting_style="needed")


def batches(rows: Rows) -> Iterator[Any]:
    """Record batches with the table's columns, in its order, ready for Arrow's CSV writer; they are counted.

    `RefusedError` names the column whose values can't be read back, `SchemaRefusedError` one that records
    lack; `ProofError` and `IntegrityError` when the records contradict themselves.
    """
    gone = {}
    if rows.is_counted_by_image():
        gone = images.count(map(images.of, _removed(rows)))
    scanner = Scanner(OP, XID, LSN, KEY, AFTER)
    for frame in rows.frames:
        for epoch, chunk in rows.alive(scanner, frame):
            if not len(chunk.rows):
                continue
            columns = encoded(rows, frame, epoch, chunk.arrow(AFTER))
            count = len(chunk.rows)
            if gone:
                kept = images.subtract(images.of(columns), gone)
                columns = [column.filter(kept) for column in columns]
                count = len(columns[0])
            rows.counted.rows += count
            if columns and count:
                yield _batch(rows, columns)
    images.check_all_removed(rows.table.collection, gone)


def removed(rows: Rows) -> Iterator[Any]:
    """The rows that updates and deletes take away, as `batches` gives rows."""
    for columns in _removed(rows):
        yield _batch(rows, columns)


def csv(batch: Any) -> bytes:
    """A record batch as `COPY … (FORMAT csv)` reads it."""
    buffer = pa.BufferOutputStream()
    pa.csv.write_csv(batch, buffer, _OPTIONS)
    return bytes(buffer.getvalue().to_pybytes())


def _batch(rows: Rows, columns: list[Any]) -> Any:
    return pa.RecordBatch.from_arrays(columns, [column.name for column in rows.table.columns])


def _removed(rows: Rows) -> Iterator[list[Any]]:
    for frame, epoch, chunk in rows.taken(Scanner(OP, LSN, KEY, BEFORE)):
        yield encoded(rows, frame, epoch, chunk.arrow(BEFORE))


def encoded(rows: Rows, frame: Frame, epoch: Epoch, structs: Any) -> list[Any]:
    """The rows of one epoch of a frame as text, a column each in the table's order; raises as `batches`."""
    present = {name: index for index, name in enumerate(frame.fields)}
    flat = structs.flatten()
    columns = []
    for column in rows.table.columns:
        name = epoch.field(column.name)
        if name is None or name not in present:
            columns.append(pa.repeat(pa.scalar(rows.missing(column), pa.string()), len(structs)))
            continue
        try:
            exact = name in frame.exact
            columns.append(encode(flat[present[name]], rows.type_then(epoch, column), exact=exact))
        except ValueRefusedError as error:
            raise RefusedError(
                f"{rows.table.collection}.{column.name} ({column.type}) can't be restored exactly: {error}.",
                next_step="`replicator doctor` says which columns pass; docs/restore.md, what to do",
            ) from None
    return columns
