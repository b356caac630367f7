"""Whether the sink is alive and able to do its work, over HTTP."""

from __future__ import annotations

import json
import os
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from replicator.errors import ConfigError
from replicator.writer.process.pool import Pool, Supervisor

LISTEN_FD = "REPLICATOR_LISTEN_FD"
"""The environment variable that names a listening socket which was handed down by a supervisor."""
_STALLED_S = 15.0


class Progress:
    """What a loop says of itself; safe to share between threads."""

    def __init__(self, loop: str, words: str, stalled_s: float) -> None:
        """Without progress for `stalled_s` seconds `loop` is a problem: these `words`, and for how long."""
        self._loop = loop
        self._words = words
        self._stalled_s = stalled_s
        self._progress = time.monotonic()
        self._troubles: dict[str, str] = {}

    def progressed(self) -> None:
        """The loop went round."""
        self._progress = time.monotonic()

    def trouble(self, what: str, text: str | None) -> None:
        """Something stands in the way of the work; None when it no longer does."""
        if text is None:
            self._troubles.pop(what, None)
        else:
            self._troubles[what] = text

    def problems(self) -> dict[str, str]:
        """What keeps it from its work; empty when it is ready."""
        found = dict(self._troubles)
        stalled = time.monotonic() - self._progress
        if stalled > self._stalled_s:
            found[self._loop] = f"{self._words} for {stalled:.0f} s"
        return found


class Health(Progress):
    """What the sink's loop and its threads say of themselves, and whether it is in its group."""

    def __init__(self) -> None:
        super().__init__("loop", "no progress", _STALLED_S)
        self._joined = False

    @property
    def in_group(self) -> bool:
        """Whether this member was seen to be part of its group."""
        return self._joined

    def joined(self) -> None:
        """The group knows this member, with partitions or without."""
        self._joined = True

    def problems(self) -> dict[str, str]:
        """What keeps the sink from its work; empty when it is ready."""
        found = super().problems()
        if not self._joined:
            found["group"] = "this member isn't known there yet"
        return found


class Readiness(Protocol):
    """What a process says of its ability to work."""

    def problems(self) -> dict[str, str]:
        """What keeps it from its work, by what it is about; empty when it is ready."""
        ...


class Address(Protocol):
    """A section of the configuration that says where a process is asked how it is."""

    @property
    def metrics_host(self) -> str:
        """The host's name or address to listen at."""
        ...

    @property
    def metrics_port(self) -> int:
        """0 takes any that is free."""
        ...


class Figures(Protocol):
    """A process's metrics."""

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        ...


def serve(
    health: Readiness, metrics: Figures, supervisor: Supervisor, host: str, port: int
) -> ThreadingHTTPServer:
    """Serve `/metrics`, `/healthz` (the process answers) and `/readyz` (200, or 503 with the problems).

    Port 0 takes a free one. `OSError` if the address can't be had. A listening socket that a supervisor
    handed down takes the place of both.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = 200, "text/plain; charset=utf-8", b"ok\n"
            if self.path == "/metrics":
                kind, body = "text/plain; version=0.0.4; charset=utf-8", metrics.text()
            elif self.path == "/readyz":
                problems = health.problems()
                status, kind = (503 if problems else 200), "application/json"
                body = json.dumps({"ready": not problems, "problems": problems}).encode()
            elif self.path != "/healthz":
                status, body = 404, b"/metrics, /healthz and /readyz are here\n"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every second; they aren't news."""

    inherited = os.environ.get(LISTEN_FD)
    server = ThreadingHTTPServer((host, port), Handler, bind_and_activate=inherited is None)
    if inherited is not None:
        server.socket.close()
        server.socket = socket.socket(fileno=int(inherited))
        server.server_address = server.socket.getsockname()
    server.daemon_threads = True
    Pool("health", 1, supervisor).submit(server.serve_forever)
    return server


def serve_for(
    section: str, settings: Address, health: Readiness, metrics: Figures, supervisor: Supervisor
) -> ThreadingHTTPServer:
    """`serve` where that section of the configuration says; `ConfigError` if the address can't be had."""
    host, port = settings.metrics_host, settings.metrics_port
    try:
        return serve(health, metrics, supervisor, host, port)
    except OSError as error:
        raise ConfigError(
            f"/metrics can't be served at {host}:{port}: {error.strerror}.",
            next_step=f"set {section}.metrics_port to a free port, or to 0 for any",
        ) from None


def url_of(server: ThreadingHTTPServer) -> str:
    """Where it is served, for logs."""
    host, port = server.server_address[:2]
    return f"http://{host!s}:{port}"
