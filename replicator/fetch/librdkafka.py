"""The C interface of the librdkafka that confluent-kafka ships, as far as it is needed here.

confluent-kafka makes an object with a dozen attributes of each record, which costs more than everything else
that the sink does with it. Source of all declarations: librdkafka's rdkafka.h, whose structures and functions
are a stable interface.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import confluent_kafka

from replicator.errors import ConfigError

CONSUMER = 1
"""The kind of client."""
OK = 0
PARTITION_EOF = -191
AUTO_OFFSET_RESET = -140
NO_ENTRY = -156
NO_CONSUMER_CLOSE = 8
"""Of `rd_kafka_destroy_flags`: don't leave a group, there is none."""

_PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "rd_kafka_conf_new": (c_void_p, ()),
    "rd_kafka_conf_destroy": (None, (c_void_p,)),
    "rd_kafka_conf_set": (c_int, (c_void_p, c_char_p, c_char_p, c_char_p, c_size_t)),
    "rd_kafka_new": (c_void_p, (c_int, c_void_p, c_char_p, c_size_t)),
    "rd_kafka_poll_set_consumer": (c_int, (c_void_p,)),
    "rd_kafka_queue_get_consumer": (c_void_p, (c_void_p,)),
    "rd_kafka_queue_destroy": (None, (c_void_p,)),
    "rd_kafka_consume_batch_queue": (c_int64, (c_void_p, c_int, c_void_p, c_size_t)),
    "rd_kafka_destroy_flags": (None, (c_void_p, c_int)),
    "rd_kafka_topic_partition_list_new": (c_void_p, (c_int,)),
    "rd_kafka_topic_partition_list_add": (c_void_p, (c_void_p, c_char_p, c_int32)),
    "rd_kafka_topic_partition_list_set_offset": (c_int, (c_void_p, c_char_p, c_int32, c_int64)),
    "rd_kafka_topic_partition_list_destroy": (None, (c_void_p,)),
    "rd_kafka_incremental_assign": (c_void_p, (c_void_p, c_void_p)),
    "rd_kafka_incremental_unassign": (c_void_p, (c_void_p, c_void_p)),
    "rd_kafka_error_string": (c_char_p, (c_void_p,)),
    "rd_kafka_error_destroy": (None, (c_void_p,)),
    "rd_kafka_get_watermark_offsets": (
        c_int,
        (c_void_p, c_char_p, c_int32, POINTER(c_int64), POINTER(c_int64)),
    ),
    "rd_kafka_topic_name": (c_char_p, (c_void_p,)),
    "rd_kafka_err2name": (c_char_p, (c_int,)),
    "rd_kafka_message_errstr": (c_char_p, (c_void_p,)),
    "rd_kafka_message_destroy": (None, (c_void_p,)),
    "rd_kafka_message_timestamp": (c_int64, (c_void_p, c_void_p)),
    "rd_kafka_message_headers": (c_int, (c_void_p, POINTER(c_void_p))),
    "rd_kafka_header_get_all": (
        c_int,
        (c_void_p, c_size_t, POINTER(c_char_p), POINTER(c_void_p), POINTER(c_size_t)),
    ),
}


@cache
def library() -> Any:
    """librdkafka, its functions declared. `ConfigError` where there is none."""
    try:
        loaded = ctypes.CDLL(str(_path()))
    except OSError as error:
        raise ConfigError(
            f"librdkafka can't be loaded: {error}.",
            next_step="install confluent-kafka from its wheel, or librdkafka on the system",
        ) from None
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def _path() -> Path | str:
    """The library beside confluent-kafka's wheel; the system's where that was built from source."""
    package = Path(confluent_kafka.__file__).parent
    shipped = [
        *package.parent.glob("confluent_kafka.libs/librdkafka*"),
        *package.glob(".dylibs/librdkafka*"),
    ]
    found = shipped[0] if shipped else ctypes.util.find_library("rdkafka")
    if found is None:
        raise OSError("confluent-kafka comes without librdkafka, and the system has none")
    return found
