"""A stack that lives as long as what needs it: for tests, benches and campaigns."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.stack import DEFAULT_PARTS, Progress, Stack

VARIABLE = "REPLICATOR_STACK_DIR"
"""Names the directory of a stack that is to be used instead."""


@contextmanager
def temporary(
    purpose: str, parts: Iterable[str] = DEFAULT_PARTS, progress: Progress = lambda _: None
) -> Iterator[Stack]:
    """A new stack with these parts, gone afterwards with its data, however the block or the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"replicator-{purpose}-"))
    # PostgreSQL runs as another user where this process is root's.
    folder.chmod(0o755)
    stack = Stack(folder, progress)
    try:
        with stack.held():
            stack.up(parts)
            yield stack
    finally:
        stack.remove()


@contextmanager
def given_or_temporary(
    purpose: str, parts: Iterable[str] = DEFAULT_PARTS, progress: Progress = lambda _: None
) -> Iterator[Stack]:
    """The stack that VARIABLE names, brought up as far as it isn't and left up; else a temporary one."""
    given = os.environ.get(VARIABLE)
    if not given:
        with temporary(purpose, parts, progress) as stack:
            yield stack
    else:
        stack = Stack(Path(given))
        stack.up(parts)
        yield stack
