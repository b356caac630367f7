from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from replicator.source.connect_api import Connect, ConnectError


@contextmanager
def answering(*answers: tuple[int, object]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers in turn, the last one again and again, and notes what was asked."""
    left = list(answers)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_rebalance_is_asked_again_until_it_is_over() -> None:
    busy = (409, {"message": "rebalance"})
    with answering(busy, busy, (200, {"a": "1"})) as (url, asked):
        Connect(url).put_config("weddings", {"a": "1"})
    assert asked == ["PUT /connectors/weddings/config"] * 3


def test_a_connector_that_is_not_there_is_none_and_no_error() -> None:
    with answering((404, {"message": "not found"})) as (url, _):
        connect = Connect(url)
        assert connect.config("weddings") is None
        assert connect.status("weddings") is None
        assert connect.delete("weddings") is False
        assert connect.offsets("weddings") == []


def test_refused_credentials_are_told_as_such() -> None:
    with (
        answering((401, {})) as (url, _),
        pytest.raises(ConnectError, match="refuses our credentials") as caught,
    ):
        Connect(url, "me", "wrong").root()
    assert "connect_password" in str(caught.value.next_step)


def test_an_error_carries_connects_own_message() -> None:
    with (
        answering((500, {"message": "disk full"})) as (url, _),
        pytest.raises(ConnectError, match=r"500.*disk full"),
    ):
        Connect(url).root()


def test_an_address_where_nobody_listens_says_what_to_check() -> None:
    with answering((200, {})) as (url, _):
        pass
    with pytest.raises(ConnectError, match="can't be reached") as caught:
        Connect(url).root()
    assert "connect_url" in str(caught.value.next_step)


def test_only_settings_that_are_objected_to_are_told() -> None:
    body = {
        "configs": [
            {"value": {"name": "slot.name", "errors": []}},
            {"value": {"name": "database.user", "errors": ["is required"]}},
        ]
    }
    with answering((200, body)) as (url, asked):
        found = Connect(url).invalid_settings({"connector.class": "io.x.PostgresConnector"})
    assert found == {"database.user": ["is required"]}
    assert asked == ["PUT /connector-plugins/PostgresConnector/config/validate"]


def test_a_connectors_name_is_quoted_in_the_address() -> None:
    with answering((200, {})) as (url, asked):
        Connect(url).pause("a/b c")
    assert asked == ["PUT /connectors/a%2Fb%20c/pause"]
