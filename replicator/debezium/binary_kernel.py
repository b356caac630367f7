"""The loop that writes rows as `COPY … (FORMAT binary)` reads them, value by value.

Each form is what the type's receive function in PostgreSQL takes (`src/backend/utils/adt`): integers in
network order, dates and times counted from 2000-01-01, numerics in digits of base 10,000.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from replicator.avro.jit import compiled, inlined, int64
from replicator.debezium.array_text import array
from replicator.debezium.binary_forms import (
    DAYS_TO_2000,
    NO_ROOM,
    UNUSUAL,
    big,
    fixed,
    moment,
    null,
    numeric,
    text,
    uuid,
)
from replicator.debezium.values import PLACEHOLDER

CONSTANT, RAW, JSONB, UUID, NUMERIC, MOMENT, BOOL, INT2, INT4, INT8, BITS4, DATE, TIME, TIMESTAMP = range(14)
ARRAY, ARRAY_TEXT = 14, 15
OK, FULL, NOT_PLAIN = 0, 1, 2

_SLACK = 64
"""No value takes more than this beyond twice its own text."""
_PLACEHOLDER = np.frombuffer(PLACEHOLDER.encode(), np.uint8)
_MICROS_A_DAY = 86_400_000_000
_MICROS_TO_2000 = DAYS_TO_2000 * _MICROS_A_DAY
_FIRST_DAY, _LAST_DAY = -2_440_588, 2_145_042_905
_LAST_MICRO = 9_223_371_331_200_000_000
"""The first microsecond that is too late: 294277-01-01, counted from 1970 it would be beyond 64 bits."""


@compiled(
    "CPointer(u1) CPointer(i8) CPointer(i4) i8 i8[::1] i8 i8[:,::1] CPointer(u1) CPointer(u1) i8", results=3
)
def write(
    data: Any,
    numbers: Any,
    lengths: Any,
    width: int,
    rows: Any,
    first: int,
    forms: Any,
    constants: Any,
    out: Any,
    room: int,
) -> tuple[int, int, int]:
    """Write rows from the `first` of `rows` on; returns a status, the row to go on with, and the bytes.

    A column of `numbers` and `lengths` is `width` long, `out` has `room` for so many bytes.
    """
    at = int64(0)
    for r in range(first, rows.shape[0]):
        begun = at
        if at + 2 > room:
            return FULL, r, begun
        at = big(out, at, forms.shape[0], 2)
        for c in range(forms.shape[0]):
            form, place = forms[c, 0], forms[c, 1] * width + rows[r]
            if form == CONSTANT:
                at = text(constants, forms[c, 1], forms[c, 2], out, at, room)
            elif lengths[place] < 0:
                at = null(out, at, room)
            elif form == ARRAY:
                at = _array(
                    data,
                    numbers,
                    lengths,
                    place,
                    forms[c, 2],
                    forms[c, 3] * width,
                    forms[c, 4],
                    out,
                    at,
                    room,
                )
            elif form == ARRAY_TEXT:
                at = array(
                    data,
                    numbers[place],
                    int64(lengths[place]),
                    forms[c, 2],
                    forms[c, 3],
                    forms[c, 4],
                    out,
                    at,
                    room,
                )
            else:
                at = _value(form, data, numbers[place], int64(lengths[place]), out, at, room)
            if at == UNUSUAL:
                return NOT_PLAIN, r, 0
            if at < 0:
                return FULL, r, begun
    return OK, rows.shape[0], at


@inlined
def _array(
    data: Any, numbers: Any, lengths: Any, place: int, item_form: int, items: int, item_type: int, out: Any,
    at: int, room: int,
) -> int:  # fmt: skip
    """One dimension from 1 on: what Debezium sends of an array. `items` is where the items' column begins."""
    first, count = items + numbers[place], int64(lengths[place])
    if at + _SLACK > room:
        return NO_ROOM
    begun = at
    has_null = 0
    for i in range(first, first + count):
        if lengths[i] < 0:
            has_null = 1
    at = big(out, at + 4, 1 if count else 0, 4)
    at = big(out, at, has_null, 4)
    at = big(out, at, item_type, 4)
    if count:
        at = big(out, at, count, 4)
        at = big(out, at, 1, 4)
    for i in range(first, first + count):
        if lengths[i] < 0:
            at = null(out, at, room)
        else:
            at = _value(item_form, data, numbers[i], int64(lengths[i]), out, at, room)
        if at < 0:
            return at
    big(out, begun, at - begun - 4, 4)
    return at


@inlined
def _value(form: int, data: Any, number: int, length: int, out: Any, at: int, room: int) -> int:
    """A value that isn't NULL, its length in front; returns the place behind it, or why there is none."""
    if at + 2 * length + _SLACK > room:
        return NO_ROOM
    if form in (RAW, JSONB):
        if length == _PLACEHOLDER.shape[0] and _is_placeholder(data, number):
            return UNUSUAL
        if form == RAW:
            return text(data, number, length, out, at, room)
        behind = text(data, number, length, out, at + 1, room)
        big(out, at, length + 1, 4)
        out[at + 4] = 1
        return behind
    if form == INT8:
        return fixed(out, at, number, 8)
    if form == INT4:
        return fixed(out, at, number, 4) if -2_147_483_648 <= number <= 2_147_483_647 else UNUSUAL
    if form == INT2:
        return fixed(out, at, number, 2) if -32_768 <= number <= 32_767 else UNUSUAL
    if form == BITS4:
        return fixed(out, at, number, 4) if 0 <= number <= 0xFFFFFFFF else UNUSUAL
    if form == BOOL:
        return fixed(out, at, number, 1)
    if form == UUID:
        return uuid(data, number, length, out, at)
    if form == NUMERIC:
        return numeric(data, number, length, out, at)
    if form == MOMENT:
        return moment(data, number, length, out, at)
    if form == TIME:
        return fixed(out, at, number, 8) if 0 <= number <= _MICROS_A_DAY else UNUSUAL
    if form == DATE:
        if number < _FIRST_DAY or number > _LAST_DAY:
            return UNUSUAL
        return fixed(out, at, number - DAYS_TO_2000, 4)
    if form == TIMESTAMP:
        if number < _FIRST_DAY * _MICROS_A_DAY or number >= _LAST_MICRO:
            return UNUSUAL
        return fixed(out, at, number - _MICROS_TO_2000, 8)
    return UNUSUAL


@inlined
def _is_placeholder(data: Any, start: int) -> bool:
    same = 0
    for i in range(_PLACEHOLDER.shape[0]):
        same += data[start + i] == _PLACEHOLDER[i]
    return bool(same == _PLACEHOLDER.shape[0])
