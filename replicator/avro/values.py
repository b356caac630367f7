"""Columns as Python's own values: for few records, where Arrow isn't worth its start."""

from __future__ import annotations

from typing import Any

import numpy as np

from replicator.avro.program import Node, Path
from replicator.avro.reader import Columns


def of(columns: Columns, path: Path, rows: Any = None) -> list[Any]:
    """The values at a path: of all records, or of those whose numbers are in `rows`; NULL is None.

    Records are dictionaries, maps lists of pairs, enums strings. `KeyError` for a path that wasn't wanted or
    isn't in the schema; `IndexError` for an enum's number that its schema lacks.
    """
    node = columns.root.at(path)
    return _values(columns, node, np.arange(columns.count) if rows is None else rows)


def _values(columns: Columns, node: Node, rows: Any) -> list[Any]:
    if node.kind == "null":
        return [None] * len(rows)
    numbers, lengths = columns.numbers[node.column][rows], columns.lengths[node.column][rows]
    found: list[Any]
    match node.kind:
        case "boolean":
            found = (numbers != 0).tolist()
        case "float":
            found = numbers.astype(np.uint32).view(np.float32).tolist()
        case "double":
            found = numbers.view(np.float64).tolist()
        case "enum":
            found = [node.symbols[number] for number in np.where(lengths < 0, 0, numbers)]
        case "string":
            found = [str(text, "utf-8") for text in _texts(columns, numbers, lengths)]
        case "bytes" | "fixed":
            found = _texts(columns, numbers, lengths)
        case "record":
            children = [_values(columns, child, rows) for child in node.children.values()]
            each_row = zip(*children, strict=True) if children else [()] * len(rows)
            found = [dict(zip(node.children, row, strict=True)) for row in each_row]
        case "array" | "map":
            found = _lists(columns, node, numbers, lengths)
        case _:
            found = numbers.tolist()
    return [None if length < 0 else value for value, length in zip(found, lengths.tolist(), strict=True)]


def _texts(columns: Columns, numbers: Any, lengths: Any) -> list[bytes]:
    data = columns.data
    places = zip(numbers.tolist(), lengths.tolist(), strict=True)
    return [data[start : start + length].tobytes() if length > 0 else b"" for start, length in places]


def _lists(columns: Columns, node: Node, numbers: Any, lengths: Any) -> list[list[Any]]:
    counts = np.maximum(lengths, 0)
    ends = np.cumsum(counts)
    # Item j of row i lies at the row's first item plus j.
    items = np.repeat(numbers - (ends - counts), counts) + np.arange(counts.sum())
    children = [_values(columns, child, items) for child in node.children.values()]
    flat = children[0] if node.kind == "array" else list(zip(*children, strict=True))
    return [flat[end - count : end] for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]
