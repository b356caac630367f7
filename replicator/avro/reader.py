"""Blocks of records read into columns, by a program and the loop that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replicator.avro import kernel
from replicator.avro.program import Node, Path, Program, program
from replicator.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Columns:
    """What was wanted of some records, `count` of them, as `replicator.avro.kernel` lays it out.

    `data` are the bytes that the columns of text point into. All of it is the reader's and the caller's
    memory, used again: it holds until the next `read`.
    """

    count: int
    root: Node
    data: Any
    numbers: Any
    lengths: Any

    def values(self, path: Path) -> Any:
        """One integer a record, as numpy has it; 0 where it is NULL."""
        return self.numbers[self.root.at(path).column, : self.count]

    def present(self, path: Path) -> Any:
        """For each record whether the value isn't NULL."""
        return self.lengths[self.root.at(path).column, : self.count] >= 0


class Reader:
    """Reads records of one writer's schema, always into the same memory: fresh pages cost more than reading.

    `wanted` are the paths of fields to be read, each with all below it; one that the schema lacks is left
    out. Raises `UnreadableSchemaError` where there is no program for them. Not to be shared between threads.
    """

    def __init__(self, schema_text: str, wanted: Sequence[Path]) -> None:
        self.program: Program = program(schema_text, tuple(wanted))
        self._numbers = np.empty((self.program.columns, 0), np.int64)
        self._lengths = np.empty((self.program.columns, 0), np.int32)
        self._used = np.zeros(max(self.program.columns, 1), np.int64)
        self._left, self._total = np.zeros((2, self.program.depth), np.int64)

    def read(self, data: Any, blocks: Any, where: str) -> Columns:
        """The records of the blocks in `data` (numpy bytes); rows are (first byte, byte behind, records).

        `IntegrityError` names `where` when the bytes aren't what the schema says.
        """
        made = self.program
        table = np.asarray(blocks, np.int64).reshape(-1, 3)
        count = int(table[:, 2].sum())
        # No record and no item is without a byte, so what a block says of itself can't ask for more memory.
        if ((table[:, 2] < 0) | (table[:, 2] > table[:, 1] - table[:, 0])).any():
            raise _damaged(where)
        self._make_room(count)
        while True:
            self._used[:] = 0
            status = kernel.decode(
                data,
                table,
                made.operations,
                made.jumps,
                self._numbers.shape[1],
                self._numbers,
                self._lengths,
                self._used,
                self._left,
                self._total,
            )
            if status != kernel.FULL:
                break
            # A list may have more items than there are records.
            self._make_room(2 * self._numbers.shape[1])
        if status == kernel.DAMAGED:
            raise _damaged(where)
        return Columns(count, made.root, data, self._numbers, self._lengths)

    def _make_room(self, room: int) -> None:
        if self._numbers.shape[1] < room:
            self._numbers = np.empty((self.program.columns, max(room, 1)), np.int64)
            self._lengths = np.empty((self.program.columns, max(room, 1)), np.int32)


def _damaged(where: str) -> IntegrityError:
    return IntegrityError(
        f"{where} has a block that isn't what its schema says: it was written wrongly, or altered together "
        "with its name.",
        next_step="restore from another destination, and keep this object as evidence",
    )
