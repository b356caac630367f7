"""The state file of a long verification: what was found sound, so that a run that was ended goes on there.

A JSON line that says what the run is about, then one key a line; what was found wrong isn't noted, and is
looked at again. A line that was being written when the process died counts for nothing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from replicator.errors import ConfigError

_FORMAT = 1
_FLUSH_S = 1.0
_FINISHED = "finished"


class Journal:
    """An open state file. `done` has the keys of the segments that the earlier run found sound."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        """Begin the file, or go on with one of the same `about` that isn't finished.

        `ConfigError` for a file that isn't a state file, or is that of another unfinished verification.
        """
        self._path = path
        self._about = {"verification": _FORMAT, **about}
        self.done: set[str] = set()
        kept = self._load()
        try:
            self._file: BinaryIO = path.open("r+b" if kept else "wb")
            # A torn line must not become the beginning of the next one.
            self._file.truncate(kept)
            self._file.seek(kept)
        except OSError as error:
            raise ConfigError(f"The state file {path} can't be written: {error.strerror}.") from None
        self._flushed = time.monotonic()
        if not kept:
            self._line(json.dumps(self._about, separators=(",", ":")))
            self._file.flush()

    def add(self, key: str) -> None:
        """Note that a segment is sound. It is in the file within a second, or at the end."""
        self._line(key)
        if time.monotonic() - self._flushed > _FLUSH_S:
            self._file.flush()
            self._flushed = time.monotonic()

    def finish(self) -> None:
        """Note that all was looked at: the next run with this file begins anew."""
        self._line(_FINISHED)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _line(self, text: str) -> None:
        self._file.write(f"{text}\n".encode())

    def _load(self) -> int:
        """Read what is there; the number of bytes to keep, 0 for beginning anew."""
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise ConfigError(f"The state file {self._path} can't be read: {error.strerror}.") from None
        if not lines:
            return 0
        about = self._read_about(lines[0])
        if lines[-1].rstrip() == _FINISHED.encode():
            return 0
        if about != self._about:
            names = {*about, *self._about}
            differing = sorted(name for name in names if about.get(name) != self._about.get(name))
            raise ConfigError(
                f"{self._path} is the state of another verification: it differs in {', '.join(differing)}.",
                next_step="call it as it was called then, name another file, or remove this one",
            )
        whole = [line for line in lines if line.endswith(b"\n")]
        self.done.update(line.decode(errors="replace").rstrip("\n") for line in whole[1:])
        return sum(map(len, whole))

    def _read_about(self, line: bytes) -> dict[str, Any]:
        try:
            about: dict[str, Any] = json.loads(line)
            about["verification"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self._path} is no state file of a verification; it was left as it is.",
                next_step="name another file with --state",
            ) from None
        return about
