"""Whether every record of a segment can be decoded, and stands where the segment's name says.

Imports the compiler of the decoder, which takes longer than many a verification: import it where it is used.
"""

from __future__ import annotations

import threading

import numpy as np
from backports.zstd import ZstdError, decompress

from replicator.avro.program import UnreadableSchemaError
from replicator.avro.reader import Reader
from replicator.errors import IntegrityError
from replicator.segment import read
from replicator.segment.container import Header
from replicator.segment.name import SegmentName

_OFFSET = ("offset",)
_KEPT = 8


def check(name: SegmentName, body: bytes, header: Header) -> None:
    """Decompress and decode every record: offsets grow, and lie in the name's range.

    What the compiled decoder doesn't know is left to fastavro, a hundred times as slow. `IntegrityError` says
    which offsets are wrong, or what can't be decoded.
    """
    opened = read.open_header(body, name.key())
    try:
        reader = _readers.of(opened.record_schema)
    except UnreadableSchemaError:
        read.check(name, body)
        return
    count, last = 0, name.first - 1
    for block in read.blocks(body, opened, name.key()):
        try:
            data = np.frombuffer(decompress(block.data), np.uint8)
        except ZstdError as error:
            raise IntegrityError(f"{name.key()} can't be decompressed: {error}.") from None
        if not block.count:
            continue
        offsets = reader.read(data, [(0, len(data), block.count)], name.key()).values(_OFFSET)
        first, end = int(offsets[0]), int(offsets[-1])
        if first <= last or end >= name.next or not (offsets[1:] > offsets[:-1]).all():
            raise IntegrityError(
                f"{name.key()} has offsets out of order or range between {min(first, last)} and {end}."
            )
        last = end
        count += len(offsets)
    if count != header.count:
        raise IntegrityError(f"{name.key()} holds {count} records and says {header.count}.")


class _Readers(threading.local):
    """A thread's readers, by schema; only the last few, since each keeps memory."""

    def __init__(self) -> None:
        self._made: dict[str, Reader] = {}

    def of(self, record_schema: str) -> Reader:
        reader = self._made.pop(record_schema, None) or Reader(record_schema, (_OFFSET,))
        self._made[record_schema] = reader
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return reader


_readers = _Readers()
