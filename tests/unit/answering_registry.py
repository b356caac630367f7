"""A schema registry that answers what a test tells it to; a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class AnsweringRegistry:
    """Answers `status` and `body`, whatever it is asked, and keeps what that was."""

    def __init__(self) -> None:
        self.status, self.body = 200, b'{"id": 7}'
        self.asked: list[tuple[str, str, Any, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                outer.asked.append((self.command, self.path, body, self.headers.get("Authorization")))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextmanager
def answering() -> Iterator[AnsweringRegistry]:
    """One that is gone afterwards."""
    found = AnsweringRegistry()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
