"""Named places where a crash matters: tests kill the process there, for real.

`REPLICATOR_FAILPOINT=name[:nth]` sends SIGKILL to this process when it is at that place for the nth time (the
first by default). Names: consumed, fed, letter_sending, letter_written, sealed, upload_started, put_half,
uploaded, before_commit, after_commit; of `replicator replay`: replay_read, replay_stored, replay_settled.
"""

from __future__ import annotations

import os
import signal
import socket
import threading

from replicator.errors import ConfigError

SINK = (
    "consumed",
    "fed",
    "sealed",
    "upload_started",
    "put_half",
    "uploaded",
    "before_commit",
    "after_commit",
)
LETTERS = ("letter_sending", "letter_written")
"""Where a sink comes only with a record or a segment that can't be stored."""
REPLAY = ("replay_read", "replay_stored", "replay_settled")
NAMES = (*SINK, *LETTERS, *REPLAY)
VARIABLE = "REPLICATOR_FAILPOINT"


class _Armed:
    def __init__(self) -> None:
        self.name: str | None = None
        self.left = 0
        self.lock = threading.Lock()


_armed = _Armed()


def arm(text: str | None = None) -> None:
    """Read the environment (or `text`); `ConfigError` for a name that there is no place for."""
    text = os.environ.get(VARIABLE) if text is None else text
    if not text:
        return
    name, _, nth = text.partition(":")
    if name not in NAMES or not (nth or "1").isdecimal() or int(nth or "1") < 1:
        raise ConfigError(f"{VARIABLE}={text!r}: the names are {', '.join(NAMES)}, with `:nth` behind.")
    _armed.name, _armed.left = name, int(nth or "1")


def armed(name: str) -> bool:
    """Whether this place is the one."""
    return _armed.name == name


def reach_while_sending(size: int) -> None:
    """From here on, die when this process has sent half of `size` bytes, or is about to fsync what it wrote.

    The store isn't asked to help: the place is inside of its `put`, wherever it sends.
    """
    sent = 0
    send_all = socket.socket.sendall
    fsync = os.fsync

    def counting(self: socket.socket, data: bytes, *flags: int) -> None:
        nonlocal sent
        view = memoryview(data)
        if sent + len(view) >= size // 2:
            send_all(self, view[: max(0, size // 2 - sent)])
            reach("put_half")
        sent += len(view)
        send_all(self, data, *flags)

    def before_fsync(descriptor: int) -> None:
        reach("put_half")
        fsync(descriptor)

    socket.socket.sendall = counting  # type: ignore[assignment, method-assign]
    os.fsync = before_fsync  # type: ignore[assignment]


def reach(name: str) -> None:
    """Die here, if this is the place and the time. Costs a comparison otherwise."""
    if _armed.name != name:
        return
    with _armed.lock:
        _armed.left -= 1
        if _armed.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # the signal is on its way; nothing of what follows may happen
