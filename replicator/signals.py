"""How a long-running process is asked to end."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


def ending(at_once: str | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set, where this is the main thread; elsewhere nobody sets it.

    With `at_once` a second signal ends the process there and then, with these words on standard error: what
    that means for the data.
    """
    asked = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        if at_once is not None and asked.is_set():
            os.write(2, f"second signal: ending at once; {at_once}\n".encode())
            os._exit(128 + number)
        asked.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
    return asked
