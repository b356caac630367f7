"""Destinations opened by control: an answer is wanted soon, and an error is news, not a reason to wait."""

from __future__ import annotations

from replicator.config import Destination
from replicator.storage import ObjectStore, open_plain

_LIMITS = ("connect_timeout_s", "read_timeout_s", "timeout_s")


def short_of_patience(destination: Destination, patience_s: float) -> ObjectStore:
    """The destination's store with no retries and with time-outs of `patience_s` seconds at most.

    `StorageError` when it can't even be opened.
    """
    shorter = {
        name: min(patience_s, getattr(destination, name))
        for name in _LIMITS
        if isinstance(getattr(destination, name, None), int | float)
    }
    return open_plain(destination.model_copy(update=shorter))
