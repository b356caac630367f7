"""Single values as `COPY … (FORMAT binary)` reads them, from their texts; parts of the compiled loop.

Each function returns the place behind what it wrote, or `NO_ROOM` or `UNUSUAL`. Whoever calls `uuid`,
`numeric`, `moment` or `fixed` has seen to it that there is room.
"""

from __future__ import annotations

from typing import Any

from replicator.avro.jit import inlined, int64, uint8

NO_ROOM, UNUSUAL = -1, -2
DAYS_TO_2000 = 10_957
_DIGIT = 48


@inlined
def big(out: Any, at: int, value: int, size: int) -> int:
    """A number in network order; returns the place behind it."""
    for i in range(size):
        out[at + size - 1 - i] = uint8((value >> (8 * i)) & 0xFF)
    return at + size


@inlined
def null(out: Any, at: int, room: int) -> int:
    """NULL."""
    if at + 4 > room:
        return NO_ROOM
    return big(out, at, -1, 4)


@inlined
def text(data: Any, start: int, length: int, out: Any, at: int, room: int) -> int:
    """Bytes as they are; NULL for a length below zero."""
    if length < 0:
        return null(out, at, room)
    if at + 4 + length > room:
        return NO_ROOM
    at = big(out, at, length, 4)
    for i in range(length):
        out[at + i] = data[start + i]
    return at + length


@inlined
def fixed(out: Any, at: int, value: int, size: int) -> int:
    """A number of so many bytes, its length in front."""
    return big(out, big(out, at, size, 4), value, size)


@inlined
def uuid(data: Any, start: int, length: int, out: Any, at: int) -> int:
    """A UUID as PostgreSQL prints it."""
    if length != 36:
        return UNUSUAL
    at = big(out, at, 16, 4)
    half = 0
    high = 0
    for i in range(36):
        byte = int64(data[start + i])
        if i == 8 or i == 13 or i == 18 or i == 23:
            if byte != 45:
                return UNUSUAL
            continue
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= byte <= 102:
            digit = byte - 87
        else:
            return UNUSUAL
        if half == 0:
            high = digit
        else:
            out[at] = uint8(high * 16 + digit)
            at += 1
        half = 1 - half
    return at


@inlined
def numeric(data: Any, start: int, length: int, out: Any, at: int) -> int:
    """Digits with at most a sign and a point; the point's place is kept as the display scale."""
    negative = length > 0 and data[start] == 45
    first = start + 1 if negative else start
    end = start + length
    point = end
    for i in range(first, end):
        byte = data[i]
        if byte == 46 and point == end:
            point = i
        elif byte < 48 or byte > 57:
            return UNUSUAL
    whole = point - first
    scale = max(end - point - 1, 0)
    if whole + scale == 0 or whole > 131_072 or scale > 16_383:
        return UNUSUAL
    begun = at
    at += 12
    weight = (whole + 3) // 4 - 1
    digits = 0
    significant = 0
    place = first - (4 - whole % 4) % 4
    stop = point + 1 + (scale + 3) // 4 * 4 if scale else point
    while place < stop:
        if place == point:
            place += 1
        group = 0
        for i in range(place, place + 4):
            group *= 10
            if first <= i < end:
                group += int64(data[i]) - _DIGIT
        place += 4
        if digits == 0 and group == 0:
            weight -= 1
            continue
        at = big(out, at, group, 2)
        digits += 1
        if group:
            significant = digits
    if significant == 0:
        weight = 0
    big(out, begun, 8 + 2 * significant, 4)
    big(out, begun + 4, significant, 2)
    big(out, begun + 6, weight, 2)
    big(out, begun + 8, 0x4000 if negative and significant else 0, 2)
    big(out, begun + 10, scale, 2)
    return begun + 12 + 2 * significant


@inlined
def _two(data: Any, at: int) -> int:
    """Two digits as a number; -1,000,000 when they are none."""
    high, low = int64(data[at]) - _DIGIT, int64(data[at + 1]) - _DIGIT
    if high < 0 or high > 9 or low < 0 or low > 9:
        return -1_000_000
    return high * 10 + low


@inlined
def _days_of(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


@inlined
def moment(data: Any, start: int, length: int, out: Any, at: int) -> int:
    """`2026-11-22T18:30:00.123456Z`, a year of four digits and up to six of a second."""
    if length < 20 or length > 27 or data[start + length - 1] != 90:
        return UNUSUAL
    if data[start + 4] != 45 or data[start + 7] != 45 or data[start + 10] != 84:
        return UNUSUAL
    if data[start + 13] != 58 or data[start + 16] != 58:
        return UNUSUAL
    year = _two(data, start) * 100 + _two(data, start + 2)
    month, day = _two(data, start + 5), _two(data, start + 8)
    hour, minute, second = _two(data, start + 11), _two(data, start + 14), _two(data, start + 17)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _days_of(year, month):
        return UNUSUAL
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return UNUSUAL
    micros = 0
    if length > 20:
        if data[start + 19] != 46 or length == 21:
            return UNUSUAL
        scale = 100_000
        for i in range(start + 20, start + length - 1):
            digit = int64(data[i]) - _DIGIT
            if digit < 0 or digit > 9:
                return UNUSUAL
            micros += digit * scale
            scale //= 10
    # Days from the civil date, March being the first month: the leap day is a year's last.
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    days = era * 146_097 + day_of_era - 719_468 - DAYS_TO_2000
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
    return fixed(out, at, seconds * 1_000_000 + micros, 8)
