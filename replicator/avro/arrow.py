"""Columns as Arrow arrays, nested ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow

from replicator.avro.kernel import gather
from replicator.avro.program import Node, Path
from replicator.avro.reader import Columns
from replicator.errors import IntegrityError

# The published stubs know fewer argument types than the functions take.
pa: Any = pyarrow


def array(columns: Columns, path: Path, rows: Any = None) -> Any:
    """The column at a path: of all records, or of those whose numbers are in `rows`.

    Enums are strings, fixed is binary; the rest is Arrow's own type of the name. `KeyError` for a path that
    wasn't wanted or isn't in the schema; `IntegrityError` for an enum's number that its schema lacks.
    """
    node = columns.root.at(path)
    taken = np.arange(columns.count) if rows is None else rows
    return _array(columns, node, taken)


def _array(columns: Columns, node: Node, rows: Any) -> Any:
    numbers, lengths = columns.numbers[node.column][rows], columns.lengths[node.column][rows]
    missing = lengths < 0
    match node.kind:
        case "null":
            return pa.nulls(len(rows))
        case "boolean":
            return pa.array(numbers != 0, mask=missing)
        case "int":
            return pa.array(numbers.astype(np.int32), mask=missing)
        case "long":
            return pa.array(numbers, mask=missing)
        case "float":
            return pa.array(numbers.astype(np.uint32).view(np.float32), mask=missing)
        case "double":
            return pa.array(numbers.view(np.float64), mask=missing)
        case "enum":
            return _enum(node, numbers, missing)
        case "string":
            return _text(columns, numbers, lengths, missing, pa.large_string(), pa.string())
        case "bytes" | "fixed":
            return _text(columns, numbers, lengths, missing, pa.large_binary(), pa.binary())
        case "record":
            children = [_array(columns, child, rows) for child in node.children.values()]
            fields = [pa.field(name, child.type) for name, child in zip(node.children, children, strict=True)]
            if not children:
                # Arrow takes a struct's length from its children.
                return pa.array([None if gone else {} for gone in missing], pa.struct([]))
            return pa.StructArray.from_arrays(children, fields=fields, mask=pa.array(missing))
        case "array" | "map":
            return _list(columns, node, numbers, lengths, missing)


def _enum(node: Node, numbers: Any, missing: Any) -> Any:
    symbols = pa.array(node.symbols, pa.string())
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(symbols)):
        raise IntegrityError(f"An enum of {len(symbols)} symbols has the number {numbers.max()}.")
    return symbols.take(pa.array(numbers, mask=missing))


def _text(columns: Columns, numbers: Any, lengths: Any, missing: Any, large: Any, small: Any) -> Any:
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.maximum(lengths, 0), dtype=np.int64)))
    body = np.empty(int(ends[-1]), np.uint8)
    gather(columns.data, numbers, ends, body)
    valid = None
    if missing.any():
        valid = pa.array(~missing).buffers()[1]
    made = pa.Array.from_buffers(large, len(numbers), [valid, pa.py_buffer(ends), pa.py_buffer(body)])
    return made.cast(small) if len(body) < 2**31 else made


def _list(columns: Columns, node: Node, numbers: Any, lengths: Any, missing: Any) -> Any:
    counts = np.maximum(lengths, 0)
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
    # Item j of row i lies at the row's first item plus j.
    items = np.repeat(numbers - ends[:-1], counts) + np.arange(ends[-1])
    offsets = pa.array(ends.astype(np.int32), mask=np.append(missing, False))
    children = [_array(columns, child, items) for child in node.children.values()]
    if node.kind == "map":
        return pa.MapArray.from_arrays(offsets, *children)
    return pa.ListArray.from_arrays(offsets, children[0])
