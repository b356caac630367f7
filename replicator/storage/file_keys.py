"""From keys to paths and back, and a directory tree in the order of its keys."""

from __future__ import annotations

import os
from collections.abc import Iterator

from replicator.storage.errors import ErrorKind, StorageError

TEMPORARY = ".tmp"
"""The one name at the root that never belongs to a key: bodies lie there until they are whole."""

_NO_NAMES = frozenset(("", ".", ".."))


def checked(key: str) -> str:
    """The key itself; FATAL when it can't be a path below the root (empty, absolute, `..`, NUL, `.tmp`)."""
    parts = key.split("/")
    if "\0" in key or parts[0] == TEMPORARY or not _NO_NAMES.isdisjoint(parts):
        raise StorageError(f"{key!r} can't be the name of a file below a directory.", kind=ErrorKind.FATAL)
    return key


def walk(root: str, prefix: str, start_after: str | None) -> Iterator[tuple[str, os.stat_result]]:
    """Key and stat of each file in the order of UTF-8 bytes, one directory at a time: big trees stay cheap.

    Subtrees that can't match are never opened. A directory that isn't there has no files; what else is wrong
    is an OSError.
    """
    for inside, names in _walk(root, "", prefix.encode(), (start_after or "").encode()):
        folder = os.path.join(root, inside)  # noqa: PTH118  # paths by the hundred thousand
        for name in names:
            try:
                yield inside + name, os.stat(folder + name)  # noqa: PTH116
            except FileNotFoundError:
                continue


def _walk(root: str, inside: str, prefix: bytes, after: bytes) -> Iterator[tuple[str, list[str]]]:
    """Directories, each with a run of its files: what lies below one may come between two of them."""
    # A directory sorts as its name with the slash that its keys have there: "a-b" comes before "a/".
    try:
        with os.scandir(os.path.join(root, inside)) as entries:  # noqa: PTH118
            found = sorted(
                os.fsencode(f"{entry.name}/" if entry.is_dir() else entry.name) for entry in entries
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    here = os.fsencode(inside)
    run: list[str] = []
    for name in found:
        key = here + name
        if name.endswith(b"/"):
            common = min(len(key), len(prefix))
            wanted = key[:common] == prefix[:common] and (key > after or after.startswith(key))
            if wanted and key != f"{TEMPORARY}/".encode():
                yield inside, run
                run = []
                yield from _walk(root, os.fsdecode(key), prefix, after)
        elif key.startswith(prefix) and key > after:
            run.append(os.fsdecode(name))
    yield inside, run
