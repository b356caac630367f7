"""The loop that runs a program over blocks of records; nothing else here sees a value.

A value takes one place in its column, two numbers: `numbers` has an integer, the bits of a float, where a
text or a record begins in the data, or where a list's items begin in their column; `lengths` has the bytes of
a text, the items of a list, or 0, and -1 for NULL.
"""

from __future__ import annotations

from typing import Any

from replicator.avro.jit import compiled, inlined, int64, uint64
from replicator.avro.program import (
    BOOL,
    BYTES,
    FIXED,
    LIST,
    LONG,
    NEXT,
    NULL,
    OPTIONAL_BYTES,
    OPTIONAL_LONG,
    PRESENT,
    UNION,
    WIDTH,
)

OK, FULL, DAMAGED = 0, 1, 2


@inlined
def read_long(data: Any, at: int, end: int) -> tuple[int, int]:
    """The zig-zag number at `at` and the place behind it, which is -1 when there is no whole number."""
    if at < end and data[at] < 0x80:
        short = int64(data[at])
        return (short >> 1) ^ -(short & 1), at + 1
    value = uint64(0)
    shift = uint64(0)
    while at < end and shift < uint64(70):
        byte = data[at]
        at += 1
        value |= uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return int64(value >> uint64(1)) ^ -int64(value & uint64(1)), at
        shift += uint64(7)
    return int64(0), int64(-1)


@compiled(
    "CPointer(u1) i8[:,::1] CPointer(i4) CPointer(i4) i8 CPointer(i8) CPointer(i4) CPointer(i8) CPointer(i8) "
    "CPointer(i8)",
    results=1,
)
def decode(
    data: Any,
    blocks: Any,
    operations: Any,
    jumps: Any,
    room: int,
    numbers: Any,
    lengths: Any,
    used: Any,
    left: Any,
    total: Any,
) -> int:
    """Run the program for each record of the blocks, whose rows are (first byte, byte behind, records).

    Returns `OK`, `FULL` when a column had no more than its `room`, or `DAMAGED` when a block isn't what the
    schema says, down to its last byte. `left` and `total` have a place for each list inside another. No list
    has more items than there are bytes left: each takes at least one.
    """
    for block in range(blocks.shape[0]):
        at, end = blocks[block, 0], blocks[block, 1]
        for _ in range(blocks[block, 2]):
            pc = int64(0)
            level = int64(-1)
            while True:
                step = pc * WIDTH
                operation, column = operations[step], int64(operations[step + 1])
                pc = int64(operations[step + 4])
                value = int64(0)
                length = int64(0)
                if operation in (OPTIONAL_LONG, OPTIONAL_BYTES):
                    branch, at = read_long(data, at, end)
                    if at < 0 or branch < 0 or branch > 1:
                        return DAMAGED
                    if branch != operations[step + 2]:
                        operation = NULL
                    elif operation == OPTIONAL_LONG:
                        operation = LONG
                    else:
                        operation = BYTES
                if operation == LONG:
                    value, at = read_long(data, at, end)
                    if at < 0:
                        return DAMAGED
                elif operation == BYTES:
                    length, at = read_long(data, at, end)
                    if at < 0 or length < 0 or length > end - at:
                        return DAMAGED
                    value = at
                    at += length
                elif operation == UNION:
                    branch, at = read_long(data, at, end)
                    if at < 0 or branch < 0 or branch >= operations[step + 2]:
                        return DAMAGED
                    pc = int64(jumps[column + branch])
                    continue
                elif operation == NULL:
                    length = int64(-1)
                elif operation == BOOL:
                    if at >= end or data[at] > 1:
                        return DAMAGED
                    value = int64(data[at])
                    at += 1
                elif operation == FIXED:
                    size = int64(operations[step + 2])
                    if size > end - at:
                        return DAMAGED
                    value = at
                    if operations[step + 3] == 1:
                        value = int64(0)
                        for i in range(size):
                            value |= int64(data[at + i]) << int64(8 * i)
                    else:
                        length = size
                    at += size
                elif operation == NEXT:
                    if left[level] == 0:
                        items, at = read_long(data, at, end)
                        if at >= 0 and items < 0:
                            items = -items
                            _, at = read_long(data, at, end)
                        if at < 0 or items < 0 or items > end - at:
                            return DAMAGED
                        if items == 0:
                            if column >= 0:
                                lengths[column * room + used[column] - 1] = total[level]
                            level -= 1
                            pc = int64(operations[step + 2])
                            continue
                        left[level] = items
                        total[level] += items
                    left[level] -= 1
                    continue
                elif operation == LIST:
                    level += 1
                    left[level] = 0
                    total[level] = 0
                    if column >= 0:
                        value = used[operations[step + 2]]
                elif operation == PRESENT:
                    value = at
                else:
                    break
                if column >= 0:
                    place = used[column]
                    if place >= room:
                        return FULL
                    numbers[column * room + place] = value
                    lengths[column * room + place] = length
                    used[column] = place + 1
        if at != end:
            return DAMAGED
    return OK


@compiled("CPointer(u1) i8[::1] CPointer(i8) CPointer(u1)")
def gather(data: Any, starts: Any, ends: Any, out: Any) -> None:
    """Copy text `i` from its start to `out[ends[i]:ends[i + 1]]`."""
    for i in range(starts.shape[0]):
        start = starts[i]
        first = ends[i]
        for j in range(ends[i + 1] - first):
            out[first + j] = data[start + j]
