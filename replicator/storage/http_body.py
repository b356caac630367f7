"""Bodies that are sent in pieces, so that a time-out means "no progress", however large they are.

One `sendall` of a whole body would have to finish within the connect time-out (socket.sendall: the time-out
is for all of it), so a large body on a slow line could never be sent.
"""

from __future__ import annotations

import io
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_PIECE = 256 * 2**10
_BUFFERED = 4 * 2**20
_SLOWEST = 128 * 2**10
"""Bytes that may still lie in the kernel when the last piece is handed over (tcp(7), tcp_wmem), and the
slowest line in bytes a second: an answer is awaited longer by the time these take, or slow lines would never
be done."""


class Body(io.BytesIO):
    """A body that is sent in pieces of 256 KiB: each has its own time-out, and they are few."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At least `size` bytes where there are any; -1 for all that is left."""
        return super().read(size if size is None or size < 0 else max(size, _PIECE))


def answer_timeout_s(read_timeout_s: float, body_bytes: int) -> float:
    """How long to wait for the answer to a body of that size, in seconds."""
    return read_timeout_s + min(body_bytes, _BUFFERED) / _SLOWEST


class PiecewiseAdapter(HTTPAdapter):
    """Sends each request once, its body in pieces, with the destination's time-outs whoever calls."""

    def __init__(self, connect_timeout_s: float, read_timeout_s: float) -> None:
        super().__init__(pool_connections=4, pool_maxsize=64, max_retries=0)
        self._connect_s = connect_timeout_s
        self._read_s = read_timeout_s

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        """See requests."""
        body = request.body
        size = 0
        if isinstance(body, bytes | bytearray):
            size = len(body)
            if size > _PIECE:
                request.body = Body(body)  # type: ignore[assignment]  # the annotation knows str and bytes
        else:
            size = int(request.headers.get("Content-Length") or 0)
        more["timeout"] = (self._connect_s, answer_timeout_s(self._read_s, size))
        return super().send(request, *args, **more)


def session(
    made: requests.Session, connect_timeout_s: float, read_timeout_s: float, proxy: str | None
) -> requests.Session:
    """The session itself, with the adapter and the proxy; the environment's proxies without one."""
    adapter = PiecewiseAdapter(connect_timeout_s, read_timeout_s)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    if proxy is not None:
        made.proxies = {"http": proxy, "https": proxy}
        made.trust_env = False
    return made
