"""A directory of a drill's own: gone when it is over, or removed by the next one if this one is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from replicator.drill.errors import DrillError

PREFIX = "replicator-drill-"
_LOCK = "lock"


@contextmanager
def own_folder(ground: Path | None) -> Iterator[Path]:
    """An empty directory below `ground` (the system's temporary one by default) until the context ends.

    `DrillError` when it can't be made. It is locked; what nobody locks is a killed drill's, and removed.
    """
    ground = ground or Path(tempfile.gettempdir())
    _remove_leftovers(ground)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=ground))
    except OSError as error:
        raise DrillError(
            f"No directory can be made in {ground}: {error.strerror}.",
            next_step="name another one under `drill: {scratch: …}`",
        ) from None
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(handle)


def _remove_leftovers(ground: Path) -> None:
    for folder in ground.glob(f"{PREFIX}*"):
        # Between its making and its lock's a directory has no such file, and is left alone.
        with suppress(OSError):
            handle = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(handle)


def _remove(folder: Path) -> None:
    """Its lock goes last: what can't be removed now is found by the next drill."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _LOCK:
            entry.unlink(missing_ok=True)
    if [entry.name for entry in folder.iterdir()] == [_LOCK]:
        shutil.rmtree(folder, ignore_errors=True)
