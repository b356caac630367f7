"""Messages as librdkafka lays them out in memory, without librdkafka."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from replicator.fetch import kernel
from replicator.fetch.records import Buffer, Stretch
from replicator.segment.splice import Columns

NO_HEADERS = -156


class Message(ctypes.Structure):
    """Source: librdkafka's rdkafka.h, rd_kafka_message_t."""

    _fields_ = (
        ("err", ctypes.c_int32),
        ("rkt", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_char_p),
        ("len", ctypes.c_size_t),
        ("key", ctypes.c_char_p),
        ("key_len", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("timestamp", ctypes.c_int64),
    )


_TIMESTAMP = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(Message), ctypes.c_void_p)
_HEADERS = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(Message), ctypes.c_void_p)
_DESTROY = ctypes.CFUNCTYPE(None, ctypes.POINTER(Message))


class Memory:
    """Messages, and stand-ins for librdkafka's functions; `given_back` are the offsets of those destroyed."""

    def __init__(self, messages: Sequence[Message], headers: bool = False) -> None:
        self.messages = list(messages)
        self.addresses = np.array([ctypes.addressof(message) for message in self.messages], np.int64)
        self.rows = np.zeros((len(self.messages), kernel.ROW), np.int64)
        self.given_back: list[int] = []
        self._calls: tuple[Any, ...] = (
            _TIMESTAMP(lambda message, _: message.contents.timestamp),
            _HEADERS(lambda *_: 0 if headers else NO_HEADERS),
            _DESTROY(lambda message: self.given_back.append(message.contents.offset)),
        )
        self.functions = kernel.Functions(*(ctypes.cast(call, ctypes.c_void_p) for call in self._calls))

    def survey(self) -> list[int]:
        """Where stretches begin; fills `rows`."""
        count = len(self.messages)
        cuts = np.zeros(count + 1, np.int64)
        found = kernel.library().survey(
            ctypes.byref(self.functions),
            self.addresses.ctypes.data,
            count,
            self.rows.ctypes.data,
            cuts.ctypes.data,
        )
        return [int(cut) for cut in cuts[:found]]

    def destroy(self) -> None:
        kernel.library().destroy(ctypes.byref(self.functions), self.addresses.ctypes.data, len(self.messages))

    def stretch(self) -> Stretch:
        """All of them as one stretch."""
        return Stretch(self.addresses, self.rows, Buffer())


def of(columns: Columns, topic: int = 1, partition: int = 0) -> list[Message]:
    """A message for each record; they have no headers."""
    rows = zip(columns.offsets, columns.timestamps, columns.keys, columns.values, strict=True)
    return [
        Message(0, topic, partition, value, len(value or b""), key, len(key or b""), offset, timestamp)
        for offset, timestamp, key, value in rows
    ]
