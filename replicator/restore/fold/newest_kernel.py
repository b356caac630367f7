"""The loops of `newest`: open addressing over entries of hash, offset, partition, key.

`slots` hold numbers of entries or -1 and are at most half full; `used` counts entries and bytes of keys.
"""

from __future__ import annotations

from typing import Any

from replicator.avro.jit import compiled, inlined, int64, uint64

OK, FULL, MOVED = 0, 1, 2
ABSENT, NOT_MINE = -1, -2
_HASH, _OFFSET, _PARTITION, _AT, _LENGTH = range(5)
_KEYS = "u1[::1] i8[::1] i4[::1]"
_TABLE = "i8[::1] i8[:,::1] u1[::1]"


@inlined
def _hash(data: Any, start: int, length: int) -> int:
    """64 bits of the key; FNV-1a, and a multiplication that spreads its last bytes over all bits."""
    value = uint64(0xCBF29CE484222325)
    for i in range(length):
        value = (value ^ uint64(data[start + i])) * uint64(0x100000001B3)
    value ^= value >> uint64(32)
    value *= uint64(0x9E3779B97F4A7C15)
    return int64(value ^ (value >> uint64(29)))


@inlined
def _is_mine(hashed: int, part: int, parts: int) -> bool:
    return parts == 1 or (hashed >> 48) % parts == part


@inlined
def _slot(hashed: int, data: Any, start: int, length: int, slots: Any, entries: Any, keys: Any) -> int:
    """The slot of the key, or the empty one in which it belongs."""
    mask = slots.shape[0] - 1
    slot: int = hashed & mask
    while slots[slot] >= 0:
        entry = slots[slot]
        if entries[entry, _HASH] == hashed and entries[entry, _LENGTH] == length:
            at = entries[entry, _AT]
            same = True
            for i in range(length):
                if keys[at + i] != data[start + i]:
                    same = False
                    break
            if same:
                return slot
        slot = (slot + 1) & mask
    return slot


@compiled(f"{_KEYS} i8[::1] i8 i8 i8 i8 {_TABLE} i8[::1]", results=2)
def put(
    data: Any, starts: Any, lengths: Any, offsets: Any, partition: int, first: int, part: int, parts: int,
    slots: Any, entries: Any, keys: Any, used: Any,
) -> tuple[int, int]:  # fmt: skip
    """Take in the keys from number `first` on; returns a status and the key that it is about."""
    for k in range(first, starts.shape[0]):
        start, length = starts[k], int64(lengths[k])
        hashed = _hash(data, start, length)
        if not _is_mine(hashed, part, parts):
            continue
        slot = _slot(hashed, data, start, length, slots, entries, keys)
        entry = slots[slot]
        if entry < 0:
            if used[0] >= entries.shape[0] or used[1] + length > keys.shape[0]:
                return FULL, k
            entry = used[0]
            slots[slot] = entry
            entries[entry, _HASH] = hashed
            entries[entry, _OFFSET] = offsets[k]
            entries[entry, _PARTITION] = partition
            entries[entry, _AT] = used[1]
            entries[entry, _LENGTH] = length
            for i in range(length):
                keys[used[1] + i] = data[start + i]
            used[0] += 1
            used[1] += length
        elif entries[entry, _PARTITION] != partition:
            return MOVED, k
        elif entries[entry, _OFFSET] < offsets[k]:
            entries[entry, _OFFSET] = offsets[k]
    return OK, starts.shape[0]


@compiled(f"{_KEYS} i8 i8 {_TABLE} i8[::1]")
def find(
    data: Any, starts: Any, lengths: Any, part: int, parts: int, slots: Any, entries: Any, keys: Any,
    found: Any,
) -> None:  # fmt: skip
    """Write each key's largest offset to `found`, or why there is none."""
    for k in range(starts.shape[0]):
        start, length = starts[k], int64(lengths[k])
        hashed = _hash(data, start, length)
        if not _is_mine(hashed, part, parts):
            found[k] = NOT_MINE
            continue
        entry = slots[_slot(hashed, data, start, length, slots, entries, keys)]
        found[k] = entries[entry, _OFFSET] if entry >= 0 else ABSENT


@compiled("i8[::1] i8[:,::1] i8")
def rehash(slots: Any, entries: Any, count: int) -> None:
    """Put all entries into empty slots; no two of them are equal."""
    mask = slots.shape[0] - 1
    for entry in range(count):
        slot = entries[entry, _HASH] & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = entry
