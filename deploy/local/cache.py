"""The cache of downloads that all checkouts and all stacks of a user share, safe under concurrent runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """Return `$REPLICATOR_CACHE`, else `$XDG_CACHE_HOME/replicator`, else `~/.cache/replicator`; makes it."""
    explicit = os.environ.get("REPLICATOR_CACHE")
    if explicit:
        path = Path(explicit).expanduser().absolute()
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "replicator"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` (created if absent); the kernel drops it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def install(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, a directory of the cache, which `build(dir)` fills first if it isn't there yet.

    The directory appears by one rename, so a reader never sees half of it, and a killed run leaves only a
    temporary sibling that the next run removes.
    """
    if target.exists():
        return target
    with locked(cache_dir() / "locks" / f"{target.parent.name}-{target.name}.lock"):
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name}.part-"
        for stale in target.parent.glob(f"{prefix}*"):
            shutil.rmtree(stale, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            build(work)
            work.chmod(0o755)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` with `text` so that a reader sees the old or the new content, never a part."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            out.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
