"""The compiled loops of a restore, made ready before they are needed."""

from __future__ import annotations

from typing import Any

from replicator.avro import kernel
from replicator.debezium import binary_kernel
from replicator.restore.fold import newest_kernel

_LOOPS: tuple[Any, ...] = (
    kernel.decode,
    kernel.gather,
    newest_kernel.put,
    newest_kernel.find,
    newest_kernel.rehash,
    binary_kernel.write,
)


def are_kept() -> bool:
    """Whether this machine has compiled them before."""
    return all(loop.is_kept for loop in _LOOPS)


def load() -> None:
    """Load each loop: in some 0.05 s; compiled first, in 5 to 20 s."""
    for loop in _LOOPS:
        loop.load()
