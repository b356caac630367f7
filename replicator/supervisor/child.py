"""One child process: its listening socket, its output, its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from replicator.supervisor.parent import PARENT
from replicator.supervisor.roles import Role
from replicator.writer.process.health import LISTEN_FD

_BACKLOG = 16
_LOOPBACK = "127.0.0.1"


class Child:
    """A role's processes, one after the other.

    The socket that they answer at is opened here and handed down: its port is known before they run, stays
    the same through restarts, and can't be taken by another process in between.
    """

    def __init__(self, role: Role, command: tuple[str, ...], told: Callable[[str], None]) -> None:
        """`command` is what is started; `told` gets each line of its output, in a thread of its own."""
        self.role = role
        self._command = command
        self._told = told
        self._listener = socket.create_server((_LOOPBACK, 0), backlog=_BACKLOG)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it answers /metrics and /readyz while it runs."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    @property
    def pid(self) -> int | None:
        """Of the process that runs; None when there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start a process; to be called by the main thread, because it dies with the thread that did so."""
        fd = self._listener.fileno()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, PARENT: str(os.getpid()), LISTEN_FD: str(fd)},
            pass_fds=(fd,),
            # A Ctrl-C on the terminal is for the supervisor: a child that got it too would take the
            # supervisor's SIGTERM for the second signal, and not drain.
            start_new_session=True,
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name=f"output {self.role.name}", daemon=True
        )
        self._reader.start()

    def ended(self) -> int | None:
        """The exit status of the process that ended since it was started, once; None while it runs."""
        if self._process is None:
            return None
        status = self._process.poll()
        if status is None:
            return None
        assert self._reader is not None
        self._reader.join(timeout=1.0)  # its last words come before what is said about its end
        self._process = None
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if one runs."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def close(self) -> None:
        """Let go of the socket; a process that still runs is killed."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        self._listener.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self._told(line.decode(errors="replace").rstrip("\r\n"))


def command_of(role: Role, options: tuple[str, ...]) -> tuple[str, ...]:
    """What runs a role: this interpreter, this package; `options` are those before the command."""
    return (sys.executable, "-m", "replicator", *options, *role.arguments)
