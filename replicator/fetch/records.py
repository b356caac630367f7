"""Records of one partition, where librdkafka put them: copied once, into the segment."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from replicator.errors import KafkaError
from replicator.fetch import kernel, librdkafka
from replicator.segment import wire
from replicator.segment.splice import Columns, Run

Numbers = npt.NDArray[np.int64]
_VALUE, _VALUE_SIZE, _KEY, _KEY_SIZE = 24, 32, 40, 48
"""Where `rd_kafka_message_t` has them, in bytes."""


class Buffer:
    """Room to write a run into; it grows to what is needed."""

    def __init__(self) -> None:
        self._bytes = np.empty(2**20, np.uint8)

    def of(self, size: int) -> npt.NDArray[np.uint8]:
        """At least so many bytes, for whoever asked last."""
        if len(self._bytes) < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages by their addresses, and what a survey said of each; valid until librdkafka has them back."""

    messages: Numbers
    rows: Numbers
    buffer: Buffer

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.messages)

    @property
    def first(self) -> int:
        """The first one's offset."""
        return int(self.rows[0, kernel.OFFSET])

    @property
    def last(self) -> int:
        """The last one's offset."""
        return int(self.rows[-1, kernel.OFFSET])

    def split(self, offset: int) -> tuple[Stretch, Stretch]:
        """The records before that offset, and those from it on."""
        cut = int(np.searchsorted(self.rows[:, kernel.OFFSET], offset))
        return (
            Stretch(self.messages[:cut], self.rows[:cut], self.buffer),
            Stretch(self.messages[cut:], self.rows[cut:], self.buffer),
        )

    def run(self) -> Run | None:
        """One run, or None where they have to be looked at one by one."""
        traits = self.rows[:, kernel.TRAITS]
        trait = int(traits[0])
        if trait not in (0, kernel.NO_KEY) or (traits != trait).any():
            return None
        first = int(self.messages[0])
        try:
            prefix = wire.prefix_of(_bytes(first + _VALUE, wire.GUID_PREFIX))
            key_prefix = b"" if trait else wire.prefix_of(_bytes(first + _KEY, wire.GUID_PREFIX))
        except wire.NotWireFormatError:
            return None
        times = self.rows[:, kernel.TIMESTAMP]
        out = self.buffer.of(int(self.rows[:, kernel.SIZE].sum()) + kernel.MORE * self.count)
        size = kernel.library().splice(
            self.messages.ctypes.data,
            self.rows.ctypes.data,
            self.count,
            len(key_prefix),
            len(prefix),
            out.ctypes.data,
        )
        if size < 0:
            return None
        return Run(
            encoded=out[:size].tobytes(),
            count=self.count,
            first_offset=self.first,
            last_offset=self.last,
            min_timestamp=int(times.min()),
            max_timestamp=int(times.max()),
            value_schema=wire.schema_of_prefix(prefix),
            key_schemas=((wire.schema_of_prefix(key_prefix), self.first),) if key_prefix else (),
        )

    def columns(self) -> Columns:
        """All of them, as Python's objects."""
        addresses = self.messages.tolist()
        return Columns(
            offsets=self.rows[:, kernel.OFFSET].tolist(),
            timestamps=self.rows[:, kernel.TIMESTAMP].tolist(),
            keys=[_bytes_or_none(address + _KEY) for address in addresses],
            values=[_bytes_or_none(address + _VALUE) for address in addresses],
            headers=[
                _headers(address) if traits & kernel.HEADERS else None
                for address, traits in zip(addresses, self.rows[:, kernel.TRAITS].tolist(), strict=True)
            ],
        )


def _bytes(place: int, most: int | None = None) -> bytes:
    """What the pointer at `place` and the size behind it say."""
    address, size = (ctypes.c_uint64 * 2).from_address(place)
    return ctypes.string_at(address, size if most is None else min(size, most))


def _bytes_or_none(place: int) -> bytes | None:
    return None if ctypes.c_uint64.from_address(place).value == 0 else _bytes(place)


def _headers(message: int) -> list[tuple[str, bytes | None]] | None:
    c: Any = librdkafka.library()
    headers = ctypes.c_void_p()
    answer = c.rd_kafka_message_headers(message, ctypes.byref(headers))
    if answer == librdkafka.NO_ENTRY:
        return None
    if answer != librdkafka.OK:
        raise KafkaError(
            f"A record's headers are damaged ({c.rd_kafka_err2name(answer).decode()}). Nothing was stored or "
            "committed of it, nor of what follows it.",
            next_step="read the partition with another consumer to see whether the brokers' disks are whole",
        )
    found: list[tuple[str, bytes | None]] = []
    name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
    pointers = (ctypes.byref(name), ctypes.byref(value), ctypes.byref(size))
    while c.rd_kafka_header_get_all(headers, len(found), *pointers) == 0:
        assert name.value is not None
        # Kafka's names are UTF-8; one that isn't must not keep the rest from being stored.
        text = name.value.decode(errors="backslashreplace")
        found.append((text, None if value.value is None else ctypes.string_at(value.value, size.value)))
    return found
