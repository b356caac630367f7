"""b2sdk's simulator behind HTTP, so that its own transport is used, and a proxy can break what goes there."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from b2sdk._internal.exception import FileOrBucketNotFound
from b2sdk.v3 import RawSimulator
from b2sdk.v3 import exception as b2

_UPLOADS = "https://upload.example.com"
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "b2_list_buckets": ("list_buckets", ("accountId", "bucketId", "bucketName")),
    "b2_list_file_names": (
        "list_file_names",
        ("bucketId", "startFileName", "maxFileCount", "prefix"),
    ),
    "b2_list_file_versions": (
        "list_file_versions",
        ("bucketId", "startFileName", "startFileId", "maxFileCount", "prefix"),
    ),
    "b2_delete_file_version": ("delete_file_version", ("fileId", "fileName")),
    "b2_get_upload_url": ("get_upload_url", ("bucketId",)),
    "b2_get_upload_part_url": ("get_upload_part_url", ("fileId",)),
    "b2_start_large_file": ("start_large_file", ("bucketId", "fileName", "contentType", "fileInfo")),
    "b2_finish_large_file": ("finish_large_file", ("fileId", "partSha1Array")),
    "b2_cancel_large_file": ("cancel_large_file", ("fileId",)),
}
"""Calls of B2's API: the simulator's method, and the request's fields in the order of its arguments."""

_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (b2.FileSha1Mismatch, 400, "bad_request"),
    (b2.PartSha1Mismatch, 400, "bad_request"),
    (b2.NonExistentBucket, 400, "bad_bucket_id"),
    (FileOrBucketNotFound, 404, "not_found"),
    (b2.InvalidAuthToken, 401, "bad_auth_token"),
    (b2.Unauthorized, 401, "unauthorized"),
    (b2.UnsatisfiableRange, 416, "range_not_satisfiable"),
)


@contextmanager
def served(simulator: RawSimulator) -> Iterator[str]:
    """The URL under which the simulator answers while the block lasts."""
    lock = threading.Lock()

    class Handler(_Handler):
        def simulate(self, act: Callable[[Any], Any]) -> Any:
            # It isn't made for threads.
            with lock:
                return act(simulator)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def simulate(self, act: Callable[[Any], Any]) -> Any:
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:  # http.server's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.rpartition("/")[2]
        if name == "b2_authorize_account":
            given = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            key_id, _, key = given.partition(":")
            self._answer(lambda simulator: simulator.authorize_account("production", key_id, key))
        elif name in _NAMES:
            method, fields = _NAMES[name]
            asked = json.loads(body)
            arguments = [asked.get(field) for field in fields]
            token = self.headers["Authorization"]
            self._answer(lambda simulator: getattr(simulator, method)(simulator.API_URL, token, *arguments))
        else:
            self._upload(body)

    def do_GET(self) -> None:  # http.server's name
        span = self.headers.get("Range")
        first, _, last = (span or "").removeprefix("bytes=").partition("-")
        wanted = (int(first), int(last)) if span else None
        token = self.headers["Authorization"]

        def read(simulator: Any) -> tuple[Mapping[str, str], bytes]:
            with simulator.download_file_from_url(token, simulator.DOWNLOAD_URL + self.path) as answer:
                return answer.headers, answer.data_bytes

        try:
            headers, whole = self.simulate(read)
            if wanted and wanted[0] >= len(whole):
                raise b2.UnsatisfiableRange
        except b2.B2Error as error:
            self._refuse(error)
            return
        body = whole[wanted[0] : wanted[1] + 1] if wanted else whole
        self.send_response(206 if wanted else 200)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # http.server's name

    def _upload(self, body: bytes) -> None:
        headers = self.headers
        url = _UPLOADS + self.path.removeprefix("/uploads")
        sha1, token = headers["X-Bz-Content-Sha1"], headers["Authorization"]
        if (part := headers.get("X-Bz-Part-Number")) is not None:
            self._answer(
                lambda simulator: simulator.upload_part(
                    url, token, int(part), len(body), sha1, io.BytesIO(body)
                )
            )
            return
        told = {
            name.lower().removeprefix("x-bz-info-"): unquote(value)
            for name, value in headers.items()
            if name.lower().startswith("x-bz-info-")
        }
        name = unquote(headers["X-Bz-File-Name"])
        self._answer(
            lambda simulator: simulator.upload_file(
                url, token, name, len(body), headers["Content-Type"], sha1, told, io.BytesIO(body)
            )
        )

    def _answer(self, act: Callable[[Any], Any]) -> None:
        try:
            found = self.simulate(act)
        except b2.B2Error as error:
            self._refuse(error)
            return
        text = json.dumps(found, default=list)
        # Whoever came by way of a proxy is sent there again.
        here = f"http://{self.headers['Host']}"
        for there, path in (
            (RawSimulator.S3_API_URL, ""),
            (RawSimulator.API_URL, ""),
            (RawSimulator.DOWNLOAD_URL, ""),
            (_UPLOADS, "/uploads"),
        ):
            text = text.replace(f'Url": "{there}', f'Url": "{here}{path}')
        self._send(200, text.encode())

    def _refuse(self, error: b2.B2Error) -> None:
        status, code = next(
            ((status, code) for each, status, code in _STATUS if isinstance(error, each)),
            (400, "bad_request"),
        )
        message = "Checksum did not match data received" if "Sha1" in type(error).__name__ else str(error)
        body = json.dumps({"status": status, "code": code, "message": message}).encode()
        self._send(status, b"" if self.command == "HEAD" else body)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
