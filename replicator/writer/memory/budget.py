"""The global bound on memory: when partitions pause, when they go on, and what to seal to get there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

_RESUME = 0.6
"""Records are taken again below this share of the bound, not at each segment that is stored."""


class Holder(Protocol):
    """What holds memory until it is sealed and stored."""

    held: int

    @property
    def open_bytes(self) -> int:
        """Bytes in what isn't sealed yet."""
        ...


_H = TypeVar("_H", bound=Holder)


def should_pause(held: int, bound: int, paused: bool) -> bool:
    """Whether to take no more records now."""
    return held >= (bound * _RESUME if paused else bound)


def to_seal(holders: Iterable[_H], held: int, bound: int, going: int) -> list[_H]:
    """At the bound, the fullest open segments, until at least half of the bound is on its way to the store.

    `going` are the bytes that are already sealed. Below the bound nothing needs sealing.
    """
    if held < bound:
        return []
    chosen = []
    for holder in sorted(holders, key=lambda each: each.open_bytes, reverse=True):
        if going * 2 >= bound or holder.open_bytes == 0:
            break
        chosen.append(holder)
        going += holder.open_bytes
    return chosen
