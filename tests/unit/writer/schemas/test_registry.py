"""The registry's client against a real HTTP server that answers as registries do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from replicator import config
from replicator.writer.schemas.registry import (
    Registry,
    RegistryUnavailableError,
    UnknownSchemaError,
    UnusableSchemaError,
)

ANSWERS: dict[str, tuple[int, Any]] = {
    "/schemas/ids/1": (200, {"schema": '"string"'}),
    "/schemas/guids/0a1b": (200, {"schema": '"long"', "schemaType": "AVRO"}),
    "/schemas/ids/2": (404, {"error_code": 40403, "message": "Schema not found"}),
    "/schemas/ids/3": (500, {"error_code": 50001}),
    "/schemas/ids/4": (200, {"schema": "{}", "schemaType": "JSON"}),
    "/schemas/ids/5": (200, {"schema": '"a.B"', "references": [{"name": "a.B"}]}),
    "/schemas/ids/6": (200, ["not", "an", "object"]),
    "/schemas/ids/7": (401, {}),
}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS[self.path]
        if self.path == "/schemas/ids/1" and self.headers.get("Authorization", "").startswith("Basic "):
            body = {"schema": '"with credentials"'}
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def registry(url: str, **more: Any) -> Registry:
    return Registry(config.Registry(url=url, timeout_s=5, **more))


def test_a_schema_is_found_by_id_and_by_guid(url: str) -> None:
    assert registry(url).fetch("1") == '"string"'
    assert registry(url + "/").fetch("guid:0a1b") == '"long"'


def test_credentials_are_sent(url: str) -> None:
    assert registry(url, user="u", password=SecretStr("p")).fetch("1") == '"with credentials"'


def test_an_id_that_it_does_not_have_is_unknown(url: str) -> None:
    with pytest.raises(UnknownSchemaError, match="no schema 2"):
        registry(url).fetch("2")


@pytest.mark.parametrize("name", ["3", "7"])
def test_a_registry_that_fails_or_refuses_us_is_unavailable_and_proves_nothing(url: str, name: str) -> None:
    with pytest.raises(RegistryUnavailableError):
        registry(url).fetch(name)


def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(RegistryUnavailableError, match="can't be reached"):
        registry("http://127.0.0.1:9").fetch("1")


@pytest.mark.parametrize(("name", "why"), [("4", "JSON"), ("5", "refers"), ("6", "no Avro")])
def test_what_a_segment_can_not_carry_is_refused(url: str, name: str, why: str) -> None:
    with pytest.raises(UnusableSchemaError, match=why):
        registry(url).fetch(name)
