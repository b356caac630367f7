"""Talk to a stack's keeper, starting one where none answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local.errors import StackError
from deploy.local.waiting import wait_for

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Command:
    """A process to run: what, as whom (None: as we are), and with what further environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class PartState:
    """What the keeper knows of a part: process id, alive or its exit status, its start in Unix time."""

    pid: int
    alive: bool
    exit: int | None
    started: float


class KeeperClient:
    """One connection to a stack's keeper. What it spawns is killed if it closes without `commit()`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.settimeout(_ANSWER_SECONDS)
        self._stream = sock.makefile("rb")
        self._turn = threading.Lock()

    @classmethod
    def connect(cls, directory: Path) -> KeeperClient | None:
        """Return a connection to the running keeper, None where there is none."""
        if not (directory / "keeper.sock").exists():
            return None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{handle}/keeper.sock")
        except (ConnectionRefusedError, FileNotFoundError):
            sock.close()
            return None
        finally:
            os.close(handle)
        return cls(sock)

    @classmethod
    def connect_or_start(cls, directory: Path) -> KeeperClient:
        """Return a connection to the running keeper, or to a new one. The caller holds the stack's lock."""
        client = cls.connect(directory)
        if client is not None:
            return client
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, (directory / "logs" / "keeper.log").open("ab") as log:
            subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    str(Path(__file__).with_name("keeper.py")),
                    str(directory),
                    str(theirs.fileno()),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        client = cls(ours)
        client.states()
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; parts spawned over it and not committed are killed by the keeper."""
        self._stream.close()
        self._sock.close()

    def states(self) -> dict[str, PartState]:
        """Return the state of every part that this keeper has ever started."""
        parts: dict[str, dict[str, Any]] = self._ask({"op": "list"})["parts"]
        return {name: PartState(**state) for name, state in parts.items()}

    def spawn(self, part: str, command: Command, log: Path) -> PartState:
        """Start `command` as `part`, its output appended to `log`."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        request = {
            "op": "spawn",
            "part": part,
            "argv": list(command.argv),
            "cwd": str(command.cwd),
            "env": inherited | command.env,
            "log": str(log),
            "uid": command.uid,
            "gid": command.gid,
        }
        return PartState(**self._ask(request))

    def run(self, task: str, command: Command, log: Path, timeout: float) -> None:
        """Run `command` to its end as the keeper's child; raises StackError if it fails."""
        self.spawn(task, command, log)
        try:
            wait_for(
                f"{task} to finish",
                lambda: f"{task} is still running" if self.states()[task].alive else None,
                timeout=timeout,
            )
        except StackError:
            self.signal(task, signal.SIGKILL)
            raise
        code = self.states()[task].exit
        if code != 0:
            raise StackError(f"{task} ended with exit status {code}; the end of {log}:\n{tail(log)}")

    def signal(self, part: str, number: signal.Signals) -> None:
        """Send a signal to the part's first process, if it lives."""
        self._ask({"op": "signal", "part": part, "signal": int(number)})

    def commit(self) -> None:
        """Let what this connection spawned outlive it."""
        self._ask({"op": "commit"})

    def hold(self) -> None:
        """Tie the whole stack to this connection: when it ends, every part ends."""
        self._ask({"op": "hold"})

    def shutdown(self) -> None:
        """Have the keeper kill whatever still lives, and exit."""
        self._ask({"op": "shutdown"})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            with self._turn:
                self._sock.sendall(json.dumps(request).encode() + b"\n")
                line = self._stream.readline()
        except (OSError, ValueError) as error:
            raise StackError(f"the stack's keeper did not answer {request['op']}: {error}") from error
        if not line:
            raise StackError(
                f"the stack's keeper ended while asked to {request['op']}; its parts ended with it",
                next_step="read logs/keeper.log in the stack's directory, then bring the stack up again",
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise StackError(
                f"the stack's keeper could not {request['op']} {request.get('part', '')}: {answer['error']}"
            )
        return answer


def tail(log: Path, lines: int = 40) -> str:
    """Return the last lines of a log, indented; a note where there is none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"    (no log: {error})"
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (the log is empty)"
