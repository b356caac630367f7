"""The replicator's processes: started, killed at named points, frozen, and asked whether they are ready."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.faults.capture import ROOT

_PATIENCE = 3.0
"""Deadlines are for what never comes; on two cores that carry a whole stack everything else comes late."""


class Process:
    """One `replicator` process that goes on until it is ended. Its log is a file; what it said is part of
    every failure's message."""

    def __init__(
        self,
        config: Path,
        *arguments: str,
        failpoint: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.log = config.with_name(f"{config.stem}-{arguments[0]}-{time.monotonic_ns()}.log")
        self.port = _free_port()
        settings = {
            **os.environ,
            "NO_COLOR": "1",
            # A process has one role, and takes its own of these.
            "REPLICATOR_SINK__METRICS_PORT": str(self.port),
            "REPLICATOR_CONTROL__METRICS_PORT": str(self.port),
            **(environment or {}),
        }
        if failpoint is not None:
            settings["REPLICATOR_FAILPOINT"] = failpoint
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "replicator", "-c", str(config), "--log-format", "json", *arguments],
                cwd=ROOT,
                env=settings,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        return self._process.pid

    def terminate(self) -> None:
        """SIGTERM: it drains, and ends well."""
        self.signal(signal.SIGTERM)

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        self.terminate()
        return self.wait(20)

    def kill(self) -> None:
        """SIGKILL, whatever state it is in."""
        if self.running:
            self._process.kill()
        self._process.wait(timeout=30)

    def wait(self, deadline_s: float) -> int:
        """Its exit status (negative for a signal); an error with the end of its log when it goes on."""
        try:
            return self._process.wait(timeout=deadline_s * _PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"the process still ran after {deadline_s:.0f} s:\n{self.said[-4000:]}"
            ) from None

    def ready(self) -> str | None:
        """None when /readyz says yes, else what it says."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5)
        except requests.RequestException as error:
            return f"/readyz doesn't answer: {type(error).__name__}"
        return None if answer.status_code == 200 else f"/readyz: {answer.status_code} {answer.text}"

    def metrics(self) -> dict[str, float]:
        """Every sample that /metrics shows, by its name with labels; nothing while it is only starting."""
        try:
            lines = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text.splitlines()
        except requests.ConnectionError:
            return {}
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    @property
    def leads(self) -> bool:
        return self.metrics().get("replicator_control_leader") == 1

    def until(self, what: str, missing: Callable[[], str | None], deadline_s: float = 60.0) -> None:
        """Wait until `missing` gives None; fails when the process ends before, or at the deadline."""
        wait_for(what, missing, deadline_s, self)


class Sink(Process):
    """One `replicator sink` process, or one of another command that takes a destination."""

    def __init__(
        self,
        config: Path,
        destination: str,
        *arguments: str,
        command: tuple[str, ...] = ("sink", "--accept-unproven-values"),
        failpoint: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`command` is another one that takes a destination, with its options."""
        super().__init__(
            config, *command, destination, *arguments, failpoint=failpoint, environment=environment
        )


def wait_for(
    what: str, missing: Callable[[], str | None], deadline_s: float, process: Process | None = None
) -> None:
    """Wait for a condition; at the deadline an error says what was missing, with the process's own words."""
    began = time.monotonic()
    while (lack := missing()) is not None:
        if process is not None and not process.running:
            raise AssertionError(
                f"the process ended with {process.wait(1)} before {what}: {lack}\n{process.said[-4000:]}"
            )
        if time.monotonic() - began > deadline_s * _PATIENCE:
            told = f"\n{process.said[-4000:]}" if process is not None else ""
            raise AssertionError(f"no {what} after {deadline_s:.0f} s: {lack}{told}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
