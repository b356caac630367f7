"""PostgreSQL's own text of an array as `COPY … (FORMAT binary)` reads it; a part of the compiled loop.

https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
"""

from __future__ import annotations

from typing import Any

from replicator.avro.jit import inlined, int64
from replicator.debezium.binary_forms import NO_ROOM, UNUSUAL, big, fixed, null, numeric, text, uuid

TEXTS, INTEGERS, UNSIGNED, BOOLEANS, UUIDS, NUMERICS = range(6)
"""What the items are: texts of any kind, integers of so many bytes, and so on."""

_SLACK = 64
_MOST_A_CHARACTER = 12
"""No item, its length and its comma takes more than this for each character of its text."""


@inlined
def array(
    data: Any, start: int, length: int, items: int, size: int, item_type: int, out: Any, at: int, room: int
) -> int:
    """An array of at most one dimension that begins at 1: returns the place behind it.

    `items` is what they are, `size` the bytes of an integer, `item_type` their number in `pg_type`.
    """
    end = start + length - 1
    if length < 2 or data[start] != 123 or data[end] != 125:
        return UNUSUAL
    if at + _MOST_A_CHARACTER * length + _SLACK > room:
        return NO_ROOM
    begun = at
    at += 4 + 12 + (8 if length > 2 else 0)
    count = 0
    has_null = 0
    place = start + 1
    while place <= end and length > 2:
        if place == end or data[place] == 123:
            return UNUSUAL
        if data[place] == 34:
            if items != TEXTS:
                return UNUSUAL
            item = at
            at += 4
            place += 1
            while place < end and data[place] != 34:
                if data[place] == 92:
                    place += 1
                out[at] = data[place]
                at += 1
                place += 1
            if place >= end:
                return UNUSUAL
            big(out, item, at - item - 4, 4)
            place += 1
        else:
            behind = place
            while behind < end and data[behind] != 44:
                behind += 1
            if _is_null(data, place, behind - place):
                at = null(out, at, room)
                has_null = 1
            else:
                at = _item(data, place, behind - place, items, size, out, at, room)
            if at < 0:
                return at
            place = behind
        count += 1
        if place < end and data[place] != 44:
            return UNUSUAL
        place += 1
    big(out, begun, at - begun - 4, 4)
    big(out, begun + 4, 1 if count else 0, 4)
    big(out, begun + 8, has_null, 4)
    big(out, begun + 12, item_type, 4)
    if count:
        big(out, begun + 16, count, 4)
        big(out, begun + 20, 1, 4)
    return at


@inlined
def _is_null(data: Any, start: int, length: int) -> bool:
    if length != 4:
        return False
    return bool(
        data[start] == 78 and data[start + 1] == 85 and data[start + 2] == 76 and data[start + 3] == 76
    )


@inlined
def _item(data: Any, start: int, length: int, items: int, size: int, out: Any, at: int, room: int) -> int:
    """An item that isn't quoted and isn't NULL."""
    if length == 0:
        return UNUSUAL
    if items == TEXTS:
        return text(data, start, length, out, at, room)
    if items == UUIDS:
        return uuid(data, start, length, out, at)
    if items == NUMERICS:
        return numeric(data, start, length, out, at)
    if items == BOOLEANS:
        if length != 1 or (data[start] != 116 and data[start] != 102):
            return UNUSUAL
        return fixed(out, at, 1 if data[start] == 116 else 0, 1)
    negative = data[start] == 45
    first = start + 1 if negative else start
    if start + length - first < 1 or start + length - first > 19:
        return UNUSUAL
    # Below zero, since there is one number more on that side.
    value = int64(0)
    for i in range(first, start + length):
        digit = int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return UNUSUAL
        value = value * 10 - digit
    number = value if negative else -value
    if items == UNSIGNED:
        return fixed(out, at, number, size) if 0 <= number < 1 << (8 * size) else UNUSUAL
    if size < 8 and (number < -(1 << (8 * size - 1)) or number >= 1 << (8 * size - 1)):
        return UNUSUAL
    if value > 0 or (number < 0) != (negative and value != 0):
        return UNUSUAL  # beyond 64 bits
    return fixed(out, at, number, size)
