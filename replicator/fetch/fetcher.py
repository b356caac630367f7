"""Reads partitions that it is told to, from the offset that it is told. It belongs to no group."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from threading import Thread
from typing import Any

import numpy as np

from replicator.errors import KafkaError
from replicator.fetch import kernel, librdkafka
from replicator.fetch.records import Buffer, Stretch
from replicator.segment.splice import Records

_CLOSE_S = 5.0
_MOST = 4096
"""So many messages at once, at most."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What librdkafka says of a partition instead of giving records; `code` is one of its errors."""

    topic: str
    partition: int
    offset: int
    code: int
    name: str
    text: str

    @property
    def at_end(self) -> bool:
        """Whether it says that the partition ends at `offset`."""
        return self.code == librdkafka.PARTITION_EOF

    @property
    def refused(self) -> bool:
        """Whether it says that a broker has nothing at `offset`."""
        return self.code == librdkafka.AUTO_OFFSET_RESET


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records of one partition."""

    topic: str
    partition: int
    records: Records


class Fetcher:
    """One client of librdkafka's. Used by one thread."""

    def __init__(self, settings: Mapping[str, str | int | float | bool]) -> None:
        """`KafkaError` for settings that librdkafka doesn't take."""
        self._c: Any = librdkafka.library()
        self._kernel: Any = kernel.library()
        self._functions = ctypes.byref(kernel.functions())
        self._messages = np.zeros(_MOST, np.int64)
        self._rows = np.zeros((_MOST, kernel.ROW), np.int64)
        self._cuts = np.zeros(_MOST + 1, np.int64)
        self._buffer = Buffer()
        self._places: set[tuple[str, int]] = set()
        self._client = self._connect(settings)
        self._c.rd_kafka_poll_set_consumer(self._client)
        self._queue = self._c.rd_kafka_queue_get_consumer(self._client)

    def _connect(self, settings: Mapping[str, str | int | float | bool]) -> int:
        why = ctypes.create_string_buffer(512)
        configuration = self._c.rd_kafka_conf_new()
        for name, value in settings.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            taken = self._c.rd_kafka_conf_set(configuration, name.encode(), text.encode(), why, len(why))
            if taken != librdkafka.OK:
                self._c.rd_kafka_conf_destroy(configuration)
                raise KafkaError(
                    f"librdkafka doesn't take {name}: {why.value.decode()}",
                    next_step="correct kafka.options in the configuration",
                )
        client = self._c.rd_kafka_new(librdkafka.CONSUMER, configuration, why, len(why))
        if not client:
            self._c.rd_kafka_conf_destroy(configuration)
            raise KafkaError(
                f"librdkafka can't begin: {why.value.decode()}",
                next_step="correct kafka.options in the configuration; nothing was read or committed",
            )
        return int(client)

    def begin(self, topic: str, partition: int, offset: int) -> None:
        """Read the partition from `offset` on, also if it is being read. `KafkaError` if that can't be."""
        self.end(topic, partition)
        self._assign(self._c.rd_kafka_incremental_assign, topic, partition, offset)
        self._places.add((topic, partition))

    def end(self, topic: str, partition: int) -> None:
        """Read the partition no more; what was read ahead of it is dropped. `KafkaError` if that can't be."""
        if (topic, partition) in self._places:
            self._assign(self._c.rd_kafka_incremental_unassign, topic, partition, 0)
            self._places.discard((topic, partition))

    def _assign(self, call: Any, topic: str, partition: int, offset: int) -> None:
        places = self._c.rd_kafka_topic_partition_list_new(1)
        self._c.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
        self._c.rd_kafka_topic_partition_list_set_offset(places, topic.encode(), partition, offset)
        error = call(self._client, places)
        self._c.rd_kafka_topic_partition_list_destroy(places)
        if error:
            text = self._c.rd_kafka_error_string(error).decode()
            self._c.rd_kafka_error_destroy(error)
            raise KafkaError(
                f"librdkafka doesn't begin or end reading {topic}[{partition}]: {text}",
                next_step="start the sink again if it doesn't go on by itself; what isn't committed is read "
                "again",
            )

    @contextmanager
    def take(self, most: int, patience_s: float) -> Iterator[list[Fetched | Notice]]:
        """Up to `most` records, by partition and in order, and notices among them, as soon as there are so
        many or the time is over. Valid inside of the context alone."""
        count = self._c.rd_kafka_consume_batch_queue(
            self._queue, int(patience_s * 1000), self._messages.ctypes.data, min(most, _MOST)
        )
        if count <= 0:
            yield []
            return
        try:
            yield self._stretches(count)
        finally:
            self._kernel.destroy(self._functions, self._messages.ctypes.data, count)

    def _stretches(self, count: int) -> list[Fetched | Notice]:
        messages, rows, cuts = self._messages, self._rows, self._cuts
        stretches = self._kernel.survey(
            self._functions, messages.ctypes.data, count, rows.ctypes.data, cuts.ctypes.data
        )
        cuts[stretches] = count
        taken: list[Fetched | Notice] = []
        for begin, end in pairwise(cuts[: stretches + 1].tolist()):
            error, topic, partition, offset = rows[begin, : kernel.OFFSET + 1].tolist()
            # Asked each time: the address of a topic that is gone may be another one's now.
            name = self._c.rd_kafka_topic_name(topic).decode() if topic else ""
            if error:
                taken.append(
                    Notice(
                        name,
                        partition,
                        offset,
                        error,
                        self._c.rd_kafka_err2name(error).decode(),
                        (self._c.rd_kafka_message_errstr(int(messages[begin])) or b"").decode(),
                    )
                )
            else:
                taken.append(
                    Fetched(name, partition, Stretch(messages[begin:end], rows[begin:end], self._buffer))
                )
        return taken

    def known_end(self, topic: str, partition: int) -> int | None:
        """Where the partition ended when a broker last said it; None before."""
        low, high = ctypes.c_int64(-1), ctypes.c_int64(-1)
        pointers = (ctypes.byref(low), ctypes.byref(high))
        self._c.rd_kafka_get_watermark_offsets(self._client, topic.encode(), partition, *pointers)
        return high.value if high.value >= 0 else None

    def close(self) -> None:
        """Read nothing more. librdkafka's threads are waited for, but no longer than a few seconds."""
        self._c.rd_kafka_queue_destroy(self._queue)
        # In a thread: while the main one is in C, it hears no signal.
        flags = librdkafka.NO_CONSUMER_CLOSE
        ending = Thread(target=self._c.rd_kafka_destroy_flags, args=(self._client, flags), daemon=True)
        ending.start()
        ending.join(_CLOSE_S)
