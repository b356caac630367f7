"""Avro's variable-length zig-zag integers.

Source: the Avro specification, "Primitive Types" (int and long).
"""

from __future__ import annotations

from replicator.errors import IntegrityError


class NumberError(IntegrityError):
    """Bytes that should be a number and are none."""


def unsigned(value: int) -> bytes:
    """`value` >= 0 in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def long(value: int) -> bytes:
    """A signed 64-bit number as Avro writes it."""
    return unsigned((value << 1) ^ (value >> 63))


def read_long(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at `at` and the place after it; `IndexError` at the end of the data.

    `NumberError` for what has more than 64 bits, which no number in a segment has.
    """
    shift = value = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise NumberError(f"damaged: the number at byte {at - 10} has more than 64 bits")
