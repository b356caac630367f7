"""A directory as a destination: a file is there whole, fsynced, under its name, or it isn't there.

The body is written and fsynced below `.tmp`, linked to its name (which fails if that is taken), and the
directories that changed are fsynced: rename and link are atomic, but durable only then (Linux, fsync(2)).
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from replicator.storage import file_keys
from replicator.storage.check import refuse_mismatch
from replicator.storage.errors import ErrorKind, StorageError
from replicator.storage.port import Capabilities, CreateIfAbsent, ObjectInfo, PutResult

_STALE_S = 24 * 3600
_KINDS = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR), ErrorKind.NOT_FOUND),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), ErrorKind.AUTH),
    **dict.fromkeys(
        (
            errno.EAGAIN,
            errno.EBUSY,
            errno.EINTR,
            errno.EMFILE,
            errno.ENFILE,
            errno.ENOMEM,
            errno.ESTALE,
            errno.ETIMEDOUT,
        ),
        ErrorKind.TRANSIENT,
    ),
}
_NEXT_STEPS = {
    errno.ENOSPC: "free space on that file system; until then Kafka keeps what isn't stored",
    errno.EDQUOT: "raise the quota on that file system; until then Kafka keeps what isn't stored",
    errno.EROFS: "mount that file system for writing",
    errno.EACCES: "give this process's user the right to read and write there",
    errno.EPERM: "give this process's user the right to read and write there",
}


class FileStore:
    """A directory, below one prefix. Safe to share between threads and processes."""

    def __init__(self, path: Path, prefix: str = "") -> None:
        """FATAL unless the directory is there: a disk that isn't mounted must not be filled by mistake."""
        self._where = f"directory {path}"
        if not path.is_dir():
            raise StorageError(
                f"{self._where}: there is no such directory; nothing was written.",
                kind=ErrorKind.FATAL,
                next_step=f"mount it, or create it: mkdir -p {path}",
            )
        self._root = path / prefix if prefix else path
        self._links = True
        self._given = path
        self._durable: set[Path] = set()
        """Directories of ours whose names are known to be durable."""
        with self._failing("open", ""):
            self._make_directories(self._root / file_keys.TEMPORARY)
            _remove_stale(self._root / file_keys.TEMPORARY)

    @property
    def capabilities(self) -> Capabilities:
        """Atomic creation where the file system has hard links, which the first put finds out."""
        creation = CreateIfAbsent.ATOMIC if self._links else CreateIfAbsent.CHECKED
        return Capabilities(creation, refuses_wrong_checksum=True)

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        """See the port."""
        refuse_mismatch(body, sha256, f"{self._where}: PUT {key}")
        final = self._path(key)
        temporary = self._root / file_keys.TEMPORARY / f"{os.getpid()}-{uuid.uuid4().hex}"
        with self._failing("PUT", key):
            try:
                _write(temporary, body)
                self._make_directories(final.parent)
                result = self._name(temporary, final) if if_absent else _replace(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)
            # Also when the name was taken: whoever made it may have died before this.
            _sync_directory(final.parent)
        return result

    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """See the port. A file that shrinks while it is read is CORRUPT: ours never change."""
        with self._failing("GET", key), self._opened(key) as file:
            size = os.fstat(file).st_size
            first = min(start or 0, size)
            wanted = max(0, (size if end is None else min(end, size)) - first)
            # The kernel gives it all in one piece, nearly always, and then nothing is copied.
            body = os.pread(file, wanted, first)
            while len(body) < wanted and (piece := os.pread(file, wanted - len(body), first + len(body))):
                body += piece
        if len(body) != wanted:
            raise StorageError(
                f"{self._where}: GET {key}: {len(body)} of {wanted} bytes could be read.",
                kind=ErrorKind.CORRUPT,
            )
        return body

    def head(self, key: str) -> ObjectInfo:
        """See the port. The checksum is computed from what the disk holds now: the whole file is read."""
        with self._failing("HEAD", key), self._path(key).open("rb") as file:
            stat = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ObjectInfo(key, stat.st_size, digest, datetime.fromtimestamp(stat.st_mtime, UTC))

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """See the port."""
        with self._failing("LIST", prefix):
            for key, stat in file_keys.walk(str(self._root), prefix, start_after):
                yield ObjectInfo(key, stat.st_size, None, datetime.fromtimestamp(stat.st_mtime, UTC))

    def delete(self, key: str) -> None:
        """See the port. Directories stay, empty or not: another process may be about to put into them."""
        path = self._path(key)
        with self._failing("DELETE", key):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            if path.parent.is_dir():
                _sync_directory(path.parent)

    def close(self) -> None:
        """See the port; there is nothing to release."""

    @contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        """A descriptor: segments are read by the thousand, and Python's files cost more than the reading."""
        descriptor = os.open(f"{self._root}/{file_keys.checked(key)}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _path(self, key: str) -> Path:
        return self._root / file_keys.checked(key)

    def _make_directories(self, path: Path) -> None:
        # One that is there may have been made by a process that died before it was synced.
        unsure = []
        while path != self._given and (path not in self._durable or not path.is_dir()):
            unsure.append(path)
            path = path.parent
        for directory in reversed(unsure):
            directory.mkdir(exist_ok=True)
            _sync_directory(directory.parent)
            self._durable.add(directory)

    def _name(self, temporary: Path, final: Path) -> PutResult:
        if self._links:
            try:
                os.link(temporary, final)
            except FileExistsError:
                return PutResult.EXISTED
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                # FAT, some FUSE and network file systems have no hard links (link(2), EPERM).
                self._links = False
            else:
                return PutResult.CREATED
        return PutResult.EXISTED if final.exists() else _replace(temporary, final)

    @contextmanager
    def _failing(self, operation: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            number = error.errno or 0
            kind = _KINDS.get(number, ErrorKind.FATAL)
            if operation in ("PUT", "open") and kind is ErrorKind.NOT_FOUND:
                kind = ErrorKind.FATAL
            raise StorageError(
                f"{self._where}: {operation} {key}: {error.strerror or error}",
                kind=kind,
                code=errno.errorcode.get(number),
                next_step=_NEXT_STEPS.get(number),
            ) from error


def _write(path: Path, body: bytes) -> None:
    with path.open("xb", buffering=0) as file:
        view = memoryview(body)
        while view:
            view = view[file.write(view) or 0 :]
        os.fsync(file.fileno())


def _replace(temporary: Path, final: Path) -> PutResult:
    temporary.replace(final)
    return PutResult.CREATED


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(directory: Path) -> None:
    """Bodies that a killed process left; a day is longer than any upload that is still going on."""
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < time.time() - _STALE_S:
                    Path(entry.path).unlink()
