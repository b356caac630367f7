"""Wait for a condition, with a deadline, and say what was missing at the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

from deploy.local.errors import StackError

_INTERVAL_SECONDS = 0.1


def wait_for(what: str, missing: Callable[[], str | None], timeout: float) -> float:
    """Poll `missing` until it returns None and return the seconds that took.

    Raises StackError at the deadline with the last thing that was missing. `missing` may raise to give up.
    """
    start = time.monotonic()
    while True:
        lack = missing()
        waited = time.monotonic() - start
        if lack is None:
            return waited
        if waited >= timeout:
            raise StackError(f"waited {waited:.0f} s for {what}: {lack}")
        time.sleep(_INTERVAL_SECONDS)
