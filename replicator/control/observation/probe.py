"""Probes: what a destination really does when it is asked to. No client's opinion, no provider's status page.

Between two probes that write, read back, compare and delete, a healthy destination is only read: an idle
installation costs it one small PUT a minute.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import threading
import time
from dataclasses import dataclass

from replicator.config import Control, Destination, FileDestination
from replicator.control.observation.background import Latest
from replicator.control.observation.stores import short_of_patience
from replicator.storage import ErrorKind, ObjectStore, StorageError
from replicator.writer.destination import MARK
from replicator.writer.process.pool import Supervisor

PREFIX = "v1/probe/control-"
_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """One probe: how long it took in seconds, and why it failed (None when it didn't).

    `free` is the share of the destination's capacity that is free, None where that isn't known.
    """

    seconds: float
    failure: str | None
    wrote: bool
    free: float | None = None


class Prober:
    """Probes one destination in a thread of its own, which may hang as long as it likes."""

    def __init__(self, name: str, place: Destination, settings: Control, supervisor: Supervisor) -> None:
        self._place = place
        self._settings = settings
        self._store: ObjectStore | None = None
        self._lock = threading.Lock()
        self._suspicious = True
        self._wrote_at: float | None = None
        self._began: float | None = None
        self._key = f"{PREFIX}{socket.gethostname()}-{os.getpid()}"
        self._latest: Latest[Outcome] = Latest(
            f"probe {name}", self._probe, settings.probe_interval_s, supervisor
        )

    def take(self) -> Outcome | None:
        """The newest outcome, once; None until there is another."""
        return self._latest.take()

    def waiting_s(self, now: float) -> float:
        """For how long the probe that runs now has had no answer, by the monotonic clock; 0 without one."""
        with self._lock:
            return 0.0 if self._began is None else now - self._began

    def suspect(self, suspicious: bool) -> None:
        """Whether something else looks wrong there: then every probe writes."""
        self._suspicious = suspicious

    def close(self) -> None:
        """Probe no more."""
        self._latest.close()

    def _probe(self) -> Outcome:
        began = time.monotonic()
        due = self._wrote_at is None or began - self._wrote_at >= self._settings.write_probe_every_s
        writes = due or self._suspicious
        with self._lock:
            self._began = began
        failure = None
        try:
            if self._store is None:
                self._store = short_of_patience(self._place, self._settings.probe_patience_s)
            writes = _try(self._store, self._key, writes=writes)
            if writes:
                self._wrote_at = began
        except StorageError as error:
            failure = f"{error.kind.value}: {error.message}"
        except Exception as error:  # noqa: BLE001  # whatever an SDK raises says the same: it doesn't work
            failure = f"{type(error).__name__}: {error}"
        finally:
            with self._lock:
                self._began = None
        return Outcome(time.monotonic() - began, failure, writes, self._free())

    def _free(self) -> float | None:
        if not isinstance(self._place, FileDestination):
            return None
        try:
            usage = shutil.disk_usage(self._place.path)
        except OSError:
            return None
        return usage.free / usage.total


def _try(store: ObjectStore, key: str, *, writes: bool) -> bool:
    """Read, or write, read back, compare and delete; whether it wrote. `StorageError` when a step fails."""
    if not writes:
        try:
            store.get(MARK)
            return False
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
    body = os.urandom(_BYTES)
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), if_absent=False)
    back = store.get(key)
    store.delete(key)
    if back != body:
        raise StorageError(
            f"{key} came back with {len(back)} bytes that aren't the {len(body)} that were written.",
            kind=ErrorKind.CORRUPT,
        )
    return True
