"""How far something is that goes through segments, for whoever wants to know."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Who wants to know. What a segment is to who tells may be a step, a range, or any object."""

    def begin(self, segments: int, size: int) -> None:
        """So many are to be gone through, of so many bytes."""
        ...

    def advance(self, segments: int, size: int) -> None:
        """So many more are done."""
        ...


class Silent:
    """Nobody wants to know."""

    def begin(self, segments: int, size: int) -> None:
        """Ignored."""

    def advance(self, segments: int, size: int) -> None:
        """Ignored."""
