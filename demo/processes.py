"""The programs that the demonstration starts, each with a log, none of which outlives it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demo.site import DemoError, Site

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Program:
    """A running program; its output goes to a file."""

    def __init__(self, name: str, command: list[str], log: Path, *, outlives_us: bool = False) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=None if outlives_us else _die_with_parent,
            )

    @property
    def running(self) -> bool:
        """Whether it hasn't ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self, deadline_s: float = 40.0) -> int:
        """SIGTERM, and its exit status; SIGKILL when it doesn't end in time."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def check(self) -> None:
        """`DemoError` with the end of its log when it has ended by itself with an error."""
        if self.process.poll() not in (None, 0):
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            raise DemoError(
                f"{self.name} ended with status {self.process.returncode}:\n" + "\n".join(tail),
                next_step=f"its whole log is {self.log}",
            )


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment that a sink reported as durable, and when."""

    topic: str
    partition: int
    first: int
    next: int
    records: int
    bytes: int
    age_s: float | None
    at: datetime


class Log:
    """What a program writes, one JSON object a line, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """The objects written since the last call; what is none is left to who reads the file."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                with suppress(ValueError):
                    said = json.loads(line)
                    if isinstance(said, dict):
                        yield said


class Sink(Program):
    """One instance of `replicator sink`."""

    def __init__(self, site: Site, destination: str, name: str, *, outlives_us: bool = False) -> None:
        log = site.logs / f"sink-{name}.log"
        super().__init__(f"sink {name}", site.command("sink", destination), log, outlives_us=outlives_us)
        self.destination = destination
        self._said = Log(log)

    def stored(self) -> list[Stored]:
        """The segments that it has reported since the last call."""
        return [_stored(said) for said in self._said.new() if said.get("event") == "stored"]


class Installation(Program):
    """`replicator run`: a sink and a replay consumer for each cloud, and control, as one tree."""

    def __init__(self, site: Site, *, outlives_us: bool = False) -> None:
        log = site.logs / "run.log"
        super().__init__("replicator run", site.command("run", "--json"), log, outlives_us=outlives_us)
        self.pids: dict[str, int] = {}
        """By role, `sink:s3:1` say, of those that run."""
        self._said = Log(log)

    def stored(self) -> list[tuple[str, Stored]]:
        """The clouds and segments that its sinks have reported since the last call.

        `DemoError` when a role was given up, for then something is wrong with the configuration.
        """
        found = []
        for said in self._said.new():
            event = said.get("event")
            if event == "stored" and "role" in said:
                found.append((str(said["role"]).split(":")[1], _stored(said)))
            elif event == "started" and "child" in said:
                self.pids[said["child"]] = said["pid"]
            elif event == "ended" and "child" in said:
                self.pids.pop(said["child"], None)
            elif event == "given_up":
                raise DemoError(
                    f"{said['child']} can't be started.", next_step=f"{self.log} says why, further up"
                )
        return found

    def sinks(self, destination: str) -> int:
        """How many sinks of a cloud run in it."""
        return sum(role.startswith(f"sink:{destination}:") for role in self.pids)


def _stored(said: dict[str, Any]) -> Stored:
    return Stored(
        said["topic"],
        said["partition"],
        said["first"],
        said["next"],
        said["records"],
        said["bytes"],
        said["age_s"],
        datetime.fromisoformat(said["timestamp"]),
    )
