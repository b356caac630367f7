"""The keeper: the one process that is the parent of all parts of a stack, so that none can be orphaned.

Run as a script with two arguments, the stack's directory and an inherited socket's descriptor; it imports the
standard library alone.

Four rules make it safe to kill anything:
- a part gets SIGKILL from the kernel when the keeper dies (PR_SET_PDEATHSIG, prctl(2));
- what a connection started is on lease: if the connection ends before it said `commit`, those parts are
  killed, and the first connection is a socket that the starting command holds, so its death is seen at once,
  however it died;
- a connection may hold the whole stack: when it ends, everything ends, whoever started it;
- a keeper without parts and without connections has nothing to keep, and exits.

It speaks JSON, one object a line, over DIR/keeper.sock: spawn, signal, list, commit, hold, shutdown.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_KILL_GRACE_SECONDS = 10.0


class _Part:
    def __init__(self, process: subprocess.Popen[bytes], lease: _Connection | None) -> None:
        self.process = process
        self.lease = lease
        self.started = time.time()

    def state(self) -> dict[str, Any]:
        code = self.process.poll()
        return {"pid": self.process.pid, "alive": code is None, "exit": code, "started": self.started}

    def kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class _Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pending = b""


def die_with_parent(parent: int, uid: int | None, gid: int | None) -> Callable[[], None]:
    """Return what a child runs between fork and exec: become the user, then ask to die with the parent.

    In this order, because the kernel forgets the request when the credentials change. A parent that died
    before the request was made is seen by its pid.
    """

    def prepare() -> None:
        if gid is not None:
            os.setgroups([])
            os.setgid(gid)
        if uid is not None:
            os.setuid(uid)
        if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(127)

    return prepare


class Keeper:
    """The state of one keeper: its parts by name, and who is connected."""

    def __init__(self, directory: Path, first: socket.socket) -> None:
        self._directory = directory
        self._parts: dict[str, _Part] = {}
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        self._holder: _Connection | None = None
        self._stopping = False
        self._listener = self._listen()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._adopt(first)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        signal.set_wakeup_fd(wake_write)
        self._wake = wake_read
        self._selector.register(wake_read, selectors.EVENT_READ, None)

    def _listen(self) -> socket.socket:
        # A socket's address holds 107 bytes, a checkout's path may be longer: go through a descriptor.
        path = self._directory / "keeper.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            old = os.umask(0o177)
            listener.bind(f"/proc/self/fd/{directory}/keeper.sock")
            os.umask(old)
        finally:
            os.close(directory)
        listener.listen(16)
        return listener

    def _adopt(self, sock: socket.socket) -> None:
        connection = _Connection(sock)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def run(self) -> None:
        """Serve until nothing is left to keep."""
        while not self._stopping:
            for key, _ in self._selector.select(timeout=5.0):
                if key.fileobj is self._listener:
                    self._adopt(self._listener.accept()[0])
                elif key.fileobj == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 512)
                else:
                    self._receive(key.data)
            self._record()
            if not self._connections and not any(p.process.poll() is None for p in self._parts.values()):
                break
        self._stop()
        deadline = time.monotonic() + _KILL_GRACE_SECONDS
        for part in self._parts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                part.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        (self._directory / "keeper.sock").unlink(missing_ok=True)
        (self._directory / "pids.json").unlink(missing_ok=True)

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._disconnected(connection)
            return
        connection.pending += data
        while b"\n" in connection.pending:
            line, connection.pending = connection.pending.split(b"\n", 1)
            try:
                answer = self._answer(connection, json.loads(line))
            except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            try:
                connection.sock.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                self._disconnected(connection)
                return

    def _disconnected(self, connection: _Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection is self._holder:
            self._stop()
        for part in self._parts.values():
            if part.lease is connection:
                part.kill_group()

    def _answer(self, connection: _Connection, request: dict[str, Any]) -> dict[str, Any]:
        op = request["op"]
        if op == "spawn":
            return self._spawn(connection, request)
        if op == "signal":
            part = self._parts.get(request["part"])
            if part is not None and part.process.poll() is None:
                part.process.send_signal(request["signal"])
        elif op == "commit":
            for part in self._parts.values():
                if part.lease is connection:
                    part.lease = None
        elif op == "hold":
            self._holder = connection
        elif op == "shutdown":
            self._stop()
        elif op != "list":
            raise ValueError(f"unknown operation {op!r}")
        return {"keeper": os.getpid(), "parts": {name: part.state() for name, part in self._parts.items()}}

    def _spawn(self, connection: _Connection, request: dict[str, Any]) -> dict[str, Any]:
        name = request["part"]
        running = self._parts.get(name)
        if running is not None and running.process.poll() is None:
            raise ValueError(f"{name} is already running as process {running.process.pid}")
        with Path(request["log"]).open("ab", buffering=0) as log:
            process = subprocess.Popen(
                request["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=request["cwd"],
                env=request["env"],
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid(), request.get("uid"), request.get("gid")),
            )
        self._parts[name] = _Part(process, connection)
        return self._parts[name].state()

    def _stop(self) -> None:
        self._stopping = True
        for part in self._parts.values():
            part.kill_group()

    def _record(self) -> None:
        alive = {name: part.process.pid for name, part in self._parts.items() if part.process.poll() is None}
        text = json.dumps({"keeper": os.getpid(), **alive}) + "\n"
        path = self._directory / "pids.json"
        if not path.exists() or path.read_text() != text:
            temporary = path.with_name(".pids.json.new")
            temporary.write_text(text)
            temporary.replace(path)


def main() -> None:
    """Serve the stack in argv[1]; argv[2] is the descriptor of the starting command's socket."""
    directory, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    Keeper(directory, socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main()
