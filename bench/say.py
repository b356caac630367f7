"""What a bench tells whoever waits; its result alone goes to standard output."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)
