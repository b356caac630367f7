"""Rows of a table without a key, told by what is in them: a multiset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute

from replicator.restore.errors import ProofError

# The published stubs know fewer argument types than the functions take.
pc: Any = pyarrow.compute


def of(columns: list[Any]) -> Any:
    """Each row as one text; NUL can't be in a value, so it can part them."""
    texts = []
    for column in columns:
        text = column if pa.types.is_string(column.type) else column.cast(pa.string())
        texts.append(pc.fill_null(text, "\0"))
    return pc.binary_join_element_wise(*texts, "\0,")


def count(images: Iterator[Any]) -> dict[str, int]:
    """How often each image is there."""
    counted: dict[str, int] = {}
    for batch in images:
        for image in batch.to_pylist():
            counted[image] = counted.get(image, 0) + 1
    return counted


def subtract(images: Any, removed: dict[str, int]) -> Any:
    """A mask over the images: False for each that cancels one in `removed`, which shrinks by it."""
    kept = []
    for image in images.to_pylist():
        left = removed.get(image, 0)
        if left == 1:
            del removed[image]
        elif left:
            removed[image] = left - 1
        kept.append(left == 0)
    return pa.array(kept, pa.bool_())


def check_all_removed(table: str, removed: dict[str, int]) -> None:
    """`ProofError` when a row was taken away that was never there."""
    if removed:
        example = next(iter(removed)).replace("\0", " ")[:200]
        raise ProofError(
            f"{table} has no key, and {sum(removed.values())} of its deletes or updates take away rows "
            f"that were never written: {example}.",
            next_step="restore from another destination; if that fails as well, the source lost events",
        )
