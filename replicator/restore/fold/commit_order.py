"""The records that decide when offsets don't: by commit, and inside a commit by its own order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute

from replicator.avro.program import Path
from replicator.debezium import envelope
from replicator.debezium.transactions import Commits
from replicator.errors import IntegrityError
from replicator.restore.schema.epochs import Epoch
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import AFTER, BEFORE, LSN, OFFSET, OP, XID, Chunk, Scanner

# The published stubs know fewer argument types than the functions take.
pc: Any = pyarrow.compute
TOTAL_ORDER: Path = ("value", "transaction", "total_order")
"""An event's place in its transaction."""
_EVENTS_A_COMMIT = 2**32


Parts: TypeAlias = Callable[[Scanner, Frame], Iterator[tuple[Epoch, Chunk]]]
"""Gives the records of a frame that are the table's, by epoch."""


def deciding(
    frames: Sequence[Frame],
    parts: Parts,
    key_fields: Callable[[Frame], Sequence[str]],
    key: Sequence[str],
    commits: Commits,
) -> list[tuple[tuple[str, int], Any]]:
    """Per topic and partition the offsets of the records that decide.

    They are the newest of each primary key (`key` are its columns, `key_fields` the Avro fields that may hold
    them in a frame), or all where there is none; after the last TRUNCATE in both cases. Keys and places of
    all records are in memory at once.
    """
    chains = sorted({frame.chain for frame in frames})
    ordered = _ordered(frames, chains, parts, key_fields, key, commits)
    truncates = ordered.filter(pc.equal(ordered["op"], ord(envelope.TRUNCATE)))
    kept = ordered.filter(pc.not_equal(ordered["op"], ord(envelope.TRUNCATE)))
    barrier = pc.max(truncates["order"]).as_py()
    if barrier is not None:
        kept = kept.filter(pc.greater(kept["order"], barrier))
    if key:
        names = [f"k{i}" for i in range(len(key))]
        newest = kept.group_by(names).aggregate([("order", "max")]).rename_columns([*names, "order"])
        kept = kept.join(newest, [*names, "order"], join_type="inner")
    numbers, offsets = (kept[name].to_numpy() for name in ("chain", "offset"))
    return [(chains[number], offsets[numbers == number]) for number in np.unique(numbers)]


def _ordered(
    frames: Sequence[Frame],
    chains: Sequence[tuple[str, int]],
    parts: Parts,
    key_fields: Callable[[Frame], Sequence[str]],
    key: Sequence[str],
    commits: Commits,
) -> Any:
    """Each record with its place in commit order; the snapshot's rows, and what a base has, come first."""
    names = ["chain", "base", "offset", "op", "xid", "lsn", "total", *(f"k{i}" for i in range(len(key)))]
    scanners: dict[tuple[str, ...], Scanner] = {}
    tables = []
    for frame in frames:
        fields = tuple(key_fields(frame)) if key else ()
        if fields not in scanners:
            both = [(*side, name) for side in (BEFORE, AFTER) for name in fields]
            scanners[fields] = Scanner(OP, XID, LSN, TOTAL_ORDER, *both)
        for epoch, chunk in parts(scanners[fields], frame):
            found = [
                pa.repeat(chains.index(frame.chain), len(chunk.rows)),
                pa.repeat(frame.of_base, len(chunk.rows)),
                *(pa.array(chunk.values(OFFSET)), pa.array(chunk.operations())),
                *(pa.array(chunk.values(path)) for path in (XID, LSN, TOTAL_ORDER)),
                *(key_part(chunk, epoch.field(column), frame) for column in key),
            ]
            tables.append(pa.table(found, names))
    if not tables:
        # All that is in these frames may be another table's that had the name.
        types: list[pa.DataType] = [pa.bool_() if name == "base" else pa.int64() for name in names[:7]]
        types += [pa.string()] * len(key)
        tables = [pa.table([pa.array([], each) for each in types], names)]
    records = pa.concat_tables(tables)
    known = pa.table(
        {
            "xid": pa.array(commits.arrays()["xid"], pa.int64()),
            "begin": pa.array(commits.arrays()["begin"], pa.int64()),
            "end": pa.array(commits.arrays()["end"], pa.int64()),
            "number": pa.array(commits.arrays()["number"], pa.int64()),
        }
    )
    is_read = pc.or_(records["base"], pc.equal(records["op"], ord(envelope.READ)))
    read, streamed = records.filter(is_read), records.filter(pc.invert(is_read))
    # An xid comes round again: of the commits that had it, the event's is the one whose LSNs hold its own.
    joined = streamed.join(known, "xid", join_type="inner")
    joined = joined.filter(
        pc.and_(pc.greater_equal(joined["lsn"], joined["begin"]), pc.less_equal(joined["lsn"], joined["end"]))
    )
    order = pc.add(pc.multiply(joined["number"], _EVENTS_A_COMMIT), joined["total"])
    return pa.concat_tables(
        [
            read.append_column("order", pa.repeat(pa.scalar(0, pa.int64()), len(read))),
            joined.append_column("order", order).select([*names, "order"]),
        ]
    )


def key_part(chunk: Chunk, field: str | None, frame: Frame) -> Any:
    """A part of the primary key of each event's row; numbers as text, so that types may grow."""
    if field not in frame.fields:
        raise IntegrityError(
            f"{frame.key} has rows without their primary key's column {field}, which the DDL log says they "
            "have.",
            next_step="restore to a moment before the newest change of the table's columns, and report this",
        )
    is_delete = pa.array(chunk.operations() == ord(envelope.DELETE))
    value = pc.if_else(is_delete, chunk.arrow((*BEFORE, field)), chunk.arrow((*AFTER, field)))
    return value if pa.types.is_binary(value.type) else value.cast(pa.string())
