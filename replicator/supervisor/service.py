"""The tree: roles are started, watched, started again, and ended together."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from http.server import ThreadingHTTPServer
from random import Random
from types import FrameType

import structlog

from replicator.config import Run
from replicator.errors import ConfigError, ReplicatorError
from replicator.supervisor import parent
from replicator.supervisor.child import Child
from replicator.supervisor.endpoint import Endpoint, Subject
from replicator.supervisor.fate import Fate, Stage
from replicator.telemetry import RunMetrics
from replicator.writer.process import health
from replicator.writer.process.pool import Supervisor

_LOOK_S = 0.1
_log = structlog.get_logger(role="run")

Told = Callable[[dict[str, str | int | float]], None]
"""Hears of each change of a child's stage, as fields."""


class UndrainedError(ReplicatorError):
    """Something had to be killed because it didn't end in time."""


class Tree:
    """The children of one supervisor. For the main thread alone."""

    def __init__(self, children: Sequence[Child], settings: Run, end_within_s: float, told: Told) -> None:
        now = time.monotonic()
        random = Random()
        self._members = [(child, Fate(settings, random, now)) for child in children]
        self._settings = settings
        self._end_within_s = end_within_s
        self._told = told
        self._wake = threading.Event()
        self._signals: list[int] = []
        self._metrics = RunMetrics()
        self._endpoint = Endpoint(self._metrics)

    def run(self) -> None:
        """Keep all roles running until SIGTERM or SIGINT, then end them.

        SIGHUP starts what was given up once more. `ConfigError` when no role can be started, because the
        configuration of each was refused; `UndrainedError` when a role had to be killed in the end.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)
        # Before anything is served: a tree of no children would be ready.
        self._describe()
        server = self._serve()
        try:
            if not parent.supported():
                _log.warning("on this system children outlive a supervisor that is killed; end them by hand")
            while not self._step():
                self._wake.wait(_LOOK_S)
                self._wake.clear()
            self._end()
        finally:
            for child, _ in self._members:
                child.close()
            server.shutdown()
        _log.info("ended")

    def _step(self) -> bool:
        """Look at everything once; whether it is time to end."""
        now = time.monotonic()
        while self._signals:
            if self._signals.pop(0) != signal.SIGHUP:
                return True
            for _, fate in self._members:
                fate.retry(now)
        for child, fate in self._members:
            self._notice_end(child, fate)
            if fate.due(now):
                child.start()
                fate.started(now)
                self._tell(child, fate, "started", pid=child.pid or 0)
        self._describe()
        if all(fate.stage is Stage.GIVEN_UP for _, fate in self._members):
            raise ConfigError(
                "No role can be started: the configuration of each was refused. Nothing is lost; what isn't "
                "stored stays in Kafka.",
                next_step="each role said why, above; `replicator doctor` looks at the whole",
            )
        return False

    def _notice_end(self, child: Child, fate: Fate) -> None:
        status = child.ended()
        if status is None:
            return
        fate.ended(status, time.monotonic())
        if fate.stage is not Stage.ENDED:
            self._metrics.ends.labels(child.role.name).inc()
        if fate.stage is Stage.WAITING:
            wait_s = round(max(0.0, fate.due_at - time.monotonic()), 2)
            self._tell(child, fate, "ended", status=status, restart_in_s=wait_s)
        elif fate.stage is Stage.GIVEN_UP:
            self._tell(child, fate, "given_up", status=status)
        else:
            self._tell(child, fate, "ended", status=status)

    def _tell(self, child: Child, fate: Fate, event: str, **fields: int | float) -> None:
        name = child.role.name
        if event == "given_up":
            _log.error(
                "not started again: its configuration was refused each time; the others go on",
                child=name,
                next="mend what it says above, then send SIGHUP to this process",
            )
        elif fate.stage is Stage.WAITING:
            _log.warning("a child ended", child=name, why=fate.reason, **fields)
        else:
            _log.info(event, child=name, **fields)
        self._told({"at": round(time.time(), 3), "event": event, "child": name, **fields})

    def _describe(self) -> None:
        subjects = []
        for child, fate in self._members:
            name, running = child.role.name, fate.stage is Stage.RUNNING
            self._metrics.up.labels(name).set(running)
            self._metrics.given_up.labels(name).set(fate.stage is Stage.GIVEN_UP)
            absent = None if running else f"{fate.stage.value.replace('_', ' ')}: {fate.reason}"
            subjects.append(Subject(name, child.role.labels, child.address, absent))
        self._endpoint.subjects = subjects

    def _end(self) -> None:
        """SIGTERM to all, SIGKILL at the deadline; a second signal is passed on, and ends them at once."""
        deadline = time.monotonic() + self._end_within_s
        _log.info("ending: roles store and commit what they hold", within_s=self._end_within_s)
        for child, fate in self._members:
            fate.end()
            child.signal(signal.SIGTERM)
        killed: list[str] = []
        while any(fate.stage is Stage.RUNNING for _, fate in self._members):
            if self._signals:
                self._signals.clear()
                for child, _ in self._members:
                    child.signal(signal.SIGTERM)
            if time.monotonic() > deadline and not killed:
                killed = [child.role.name for child, fate in self._members if fate.stage is Stage.RUNNING]
                for child, _ in self._members:
                    child.signal(signal.SIGKILL)
            for child, fate in self._members:
                self._notice_end(child, fate)
            self._wake.wait(_LOOK_S)
            self._wake.clear()
        if killed:
            raise UndrainedError(
                f"{', '.join(killed)} didn't end within {self._end_within_s:.0f} s and was killed. "
                "Nothing is lost: what wasn't committed is read from Kafka again.",
                next_step="if a destination is down that is why; else raise run.end_within_s",
            )

    def _signalled(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)
        self._wake.set()

    def _serve(self) -> ThreadingHTTPServer:
        server = health.serve_for("run", self._settings, self._endpoint, self._endpoint, Supervisor())
        address = health.url_of(server)
        _log.info("run", pid=os.getpid(), children=len(self._members), health=address)
        self._told({"at": round(time.time(), 3), "event": "serving", "health": address, "pid": os.getpid()})
        return server
