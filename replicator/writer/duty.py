"""Whether this destination is to take changes now: always, unless it is a standby."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Duty(Protocol):
    """Says when a sink begins and when it ends."""

    def called(self, ending: threading.Event, waiting: Callable[[str], None]) -> bool:
        """Wait until the destination is to take changes; False if `ending` comes first.

        `waiting` is told, again and again, what is waited for.
        """
        ...

    def over(self) -> bool:
        """Whether it is to take changes no longer; asked in the loop, so it never waits."""
        ...


class Always:
    """The duty of an active destination."""

    def called(self, ending: threading.Event, waiting: Callable[[str], None]) -> bool:
        """See `Duty`."""
        return True

    def over(self) -> bool:
        """See `Duty`."""
        return False
