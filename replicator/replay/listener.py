"""Who hears what becomes of the letters that need a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from replicator.deadletter.letter import Letter


class Listener(Protocol):
    """Raises nothing: a letter's record in its own topic is what counts, and isn't held up by this."""

    def escalated(self, escalations: Sequence[Letter]) -> None:
        """These, of one destination, can't be closed without a person. May be told again after a crash."""
        ...

    def none_left(self, destination: str, by: str) -> None:
        """The last letter of the destination that needed a person is settled."""
        ...


class Nobody:
    """Nobody hears it."""

    def escalated(self, escalations: Sequence[Letter]) -> None:
        """Ignored."""

    def none_left(self, destination: str, by: str) -> None:
        """Ignored."""


NOBODY = Nobody()
