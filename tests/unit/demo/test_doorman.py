"""The demonstration's door before a cloud: one segment is turned away, everything else passes as it came."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from demo.doorman import Policy, serve

KEY = "/box/v1/changes/demo.public.photos/id/00000/{}.avro"


class Cloud(BaseHTTPRequestHandler):
    """Keeps what is put, and answers with its own headers."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, bytes] = {}  # noqa: RUF012 - one server a test, emptied before it

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, b"")

    def do_GET(self) -> None:
        body = self.kept.get(self.path)
        self._answer(404 if body is None else 200, body or b"nothing")

    def do_HEAD(self) -> None:
        self._answer(200, self.kept[self.path])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("x-ms-seen-signature", self.headers.get("Authorization", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[http.client.HTTPConnection, Path]]:
    Cloud.kept.clear()
    rule = tmp_path / "refuse"
    with (
        running(ThreadingHTTPServer(("127.0.0.1", 0), Cloud)) as cloud,
        running(serve(f"http://127.0.0.1:{cloud}", 0, Policy(rule).refuses)) as port,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield connection, rule
        connection.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    connection.request(method, path, body, {"Authorization": "SharedKey x:y"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status < 400:
        assert answer.getheader("x-ms-seen-signature") == "SharedKey x:y"
    return answer.status, content


def test_everything_passes_as_long_as_nothing_is_to_be_refused(
    door: tuple[http.client.HTTPConnection, Path],
) -> None:
    connection, _ = door
    assert ask(connection, "PUT", KEY.format(1), b"one")[0] == 201
    assert ask(connection, "GET", KEY.format(1)) == (200, b"one")
    assert ask(connection, "HEAD", KEY.format(1)) == (200, b"")
    assert ask(connection, "GET", KEY.format(2)) == (404, b"nothing")


def test_one_segment_is_turned_away_each_time_and_the_others_pass(
    door: tuple[http.client.HTTPConnection, Path],
) -> None:
    connection, rule = door
    rule.write_text("public.photos")
    assert ask(connection, "PUT", "/box/v1/probe/x", b"probe")[0] == 201
    assert ask(connection, "PUT", KEY.format(1).replace("photos", "guests"), b"g")[0] == 201
    assert ask(connection, "PUT", KEY.format(1) + "?comp=block", b"one")[0] == 403
    assert ask(connection, "PUT", KEY.format(2), b"two")[0] == 201
    assert ask(connection, "PUT", KEY.format(1), b"one")[0] == 403
    rule.unlink()
    assert ask(connection, "PUT", KEY.format(1), b"one")[0] == 201


def test_a_cloud_that_is_gone_looks_gone(tmp_path: Path) -> None:
    with running(serve("http://127.0.0.1:9", 0, Policy(tmp_path / "refuse").refuses)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with pytest.raises(http.client.RemoteDisconnected):
            ask(connection, "GET", "/box")
        connection.close()
