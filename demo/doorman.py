"""A reverse proxy before one cloud that turns away one segment, as a policy on a bucket would.

`python -m demo.doorman --upstream http://… --port 18999 --refuse FILE`: while FILE is there, the first
segment whose key holds FILE's text is refused, each time it comes; everything else passes.
"""

from __future__ import annotations

import argparse
import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from replicator.segment.name import CHANGES

_CODE = "AuthorizationPermissionMismatch"
_REFUSAL = f"<?xml version='1.0'?><Error><Code>{_CODE}</Code><Message>by policy</Message></Error>".encode()
_UPSTREAM_S = 30.0
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Policy:
    """Which requests are turned away. Safe to share between threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._chosen: str | None = None

    def refuses(self, method: str, target: str) -> bool:
        """Whether this request is turned away."""
        path = target.split("?")[0]
        if method != "PUT" or CHANGES not in path:
            return False
        try:
            text = self._file.read_text().strip()
        except FileNotFoundError:
            return False
        with self._lock:
            if self._chosen is None and text in path:
                self._chosen = path
            return path == self._chosen


def serve(upstream: str, port: int, refuses: Callable[[str, str], bool]) -> ThreadingHTTPServer:
    """A server on that port of 127.0.0.1, 0 for any free one; it isn't running yet."""
    parts = urlsplit(upstream)
    host, upstream_port = parts.hostname or "127.0.0.1", parts.port or 80

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if refuses(self.command, self.path):
                self._answer(403, [("x-ms-error-code", _CODE), ("Content-Type", "application/xml")], _REFUSAL)
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            # A connection of its own for each request: one that was kept may have been closed meanwhile.
            beyond = http.client.HTTPConnection(host, upstream_port, timeout=_UPSTREAM_S)
            try:
                beyond.request(self.command, self.path, body or None, headers)
                answer = beyond.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                # Who knocks sees what he would see without a door: a connection that ends without an answer.
                self.close_connection = True
                return
            finally:
                beyond.close()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self._answer(answer.status, kept, content, length)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - names that http.server asks for

        def _answer(
            self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Door)


def main(arguments: list[str] | None = None) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m demo.doorman", description=__doc__)
    parser.add_argument("--upstream", required=True, help="the cloud, an http URL")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--refuse", type=Path, required=True, metavar="FILE")
    given = parser.parse_args(arguments)
    serve(given.upstream, given.port, Policy(given.refuse).refuses).serve_forever()


if __name__ == "__main__":
    main()
