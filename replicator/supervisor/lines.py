"""What children write, told apart by their roles. Pure."""

from __future__ import annotations

import json

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


def prefixed(role: str, line: str, *, width: int = 0, colour: int | None = None) -> str:
    """The line as a terminal shows it: its role before it, in a colour of its own."""
    head = f"{role:<{width}} │"
    if colour is not None:
        head = f"\x1b[{_COLOURS[colour % len(_COLOURS)]}m{head}\x1b[0m"
    return f"{head} {line}"


def with_role(role: str, line: str, timestamp: str) -> str:
    """The line as one JSON object that names the role.

    What is no JSON object is the message that a process ends with, or a traceback: it becomes the `event` of
    one, so that whoever collects logs loses nothing.
    """
    if line.startswith("{"):
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if isinstance(said, dict):
            return json.dumps({**said, "role": role}, ensure_ascii=False)
    return json.dumps(
        {"event": line, "level": "error", "timestamp": timestamp, "role": role}, ensure_ascii=False
    )
