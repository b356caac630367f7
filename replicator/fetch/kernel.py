"""The loops over records in librdkafka's memory: kernel.c, compiled when the package is built."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from replicator.errors import ConfigError
from replicator.fetch import librdkafka

BUILT = Path(__file__).with_name("libkernel.so")
LAYOUT = 1
"""Changes with the rows: a library that was compiled for others is refused."""
ERROR, TOPIC, PARTITION, OFFSET, TIMESTAMP, SIZE, TRAITS = range(7)
"""What stands where in a row of a survey. TOPIC is an address; TIMESTAMP in ms since 1970; SIZE the bytes of
key and value together."""
ROW = 7
HEADERS, NO_KEY, NO_VALUE = 1, 2, 4
"""TRAITS, one bit each."""
MORE = 32
"""The bytes that a record takes in a segment beside its key and value, at most."""


class Functions(Structure):
    """The functions of librdkafka that kernel.c calls."""

    _fields_ = (("timestamp", c_void_p), ("headers", c_void_p), ("destroy", c_void_p))


@cache
def functions() -> Functions:
    """Those of the library that is loaded."""
    c = librdkafka.library()
    return Functions(
        ctypes.cast(c.rd_kafka_message_timestamp, c_void_p),
        ctypes.cast(c.rd_kafka_message_headers, c_void_p),
        ctypes.cast(c.rd_kafka_message_destroy, c_void_p),
    )


@cache
def library() -> Any:
    """kernel.c's functions `survey`, `splice` and `destroy`, as they are described there.

    `ConfigError` if it isn't there, or isn't this version's.
    """
    try:
        loaded = ctypes.CDLL(str(BUILT))
        loaded.layout.restype = c_int64
        if loaded.layout() != LAYOUT:
            raise OSError(f"{BUILT} is another version's")
    except (OSError, AttributeError) as error:
        raise ConfigError(
            f"The package's compiled part can't be used: {error}.",
            next_step="install the package again, from a wheel or with `make setup`",
        ) from None
    at = POINTER(Functions)
    loaded.survey.restype = c_int64
    loaded.survey.argtypes = (at, c_void_p, c_int64, c_void_p, c_void_p)
    loaded.splice.restype = c_int64
    loaded.splice.argtypes = (c_void_p, c_void_p, c_int64, c_size_t, c_size_t, c_void_p)
    loaded.destroy.restype = None
    loaded.destroy.argtypes = (at, c_void_p, c_int64)
    return loaded
