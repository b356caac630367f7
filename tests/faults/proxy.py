"""A proxy between an HTTP client and a real server that breaks what passes through it, on command.

It forwards requests one by one over the client's own connection. Faults are set while it runs, by any thread.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

_PIECE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request, as the proxy saw it."""

    method: str
    target: str
    headers: dict[str, str]
    head: bytes

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", "0"))


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer in the server's place; the server never sees the request."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Reset the connection after so many bytes of the request's body were passed on."""

    after: int


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The server does as it was asked; its answer never arrives."""


@dataclass(frozen=True, slots=True)
class TruncateAnswer:
    """Pass the answer's head and so many bytes of its body, then close."""

    after: int


@dataclass(frozen=True, slots=True)
class AlterAnswer:
    """Flip the lowest bit of one byte of the answer's body, counted from 0."""

    at: int


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Swallow the request; nothing ever comes back."""


Action = Respond | ResetRequest | LoseAnswer | TruncateAnswer | AlterAnswer | BlackHole | None


def pass_all(_: Request) -> Action:
    return None


class FaultProxy:
    """Listens on a free port of 127.0.0.1 in front of `upstream` (an http URL)."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._lock = threading.Lock()
        self._live: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._port = 0
        self.rule: Callable[[Request], Action] = pass_all
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.seen: list[tuple[str, str]] = []
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen (again), on the same port as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(256)
        self._port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and reset the ones there are."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            live = list(self._live)
        for connection in live:
            # Wakes the thread that reads from it, which then closes it.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Pass everything from now on."""
        self.rule = pass_all
        self.delay_s = 0.0
        self.bytes_per_s = None

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._live.add(client)
        server: socket.socket | None = None
        try:
            server = socket.create_connection(self._upstream, timeout=60)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._live.add(server)
            while self._exchange(client, server):
                pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._live.difference_update({client, server} if server else {client})
            client.close()
            if server is not None:
                server.close()

    def _exchange(self, client: socket.socket, server: socket.socket) -> bool:
        """One request and its answer; False when the connection is done."""
        head, rest = _read_head(client)
        if not head:
            return False
        request = _parse(head)
        self.seen.append((request.method, request.target))
        if self.delay_s:
            time.sleep(self.delay_s)
        action = self.rule(request)
        if isinstance(action, BlackHole):
            while client.recv(_PIECE):
                pass
            return False
        if "100-continue" in request.headers.get("expect", "").lower():
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = b"\r\n".join(
                line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")
            )
        if isinstance(action, Respond):
            self._relay(client, None, request.length, rest)
            client.sendall(_answer(action))
            return True
        server.sendall(head)
        limit = action.after if isinstance(action, ResetRequest) else None
        if "chunked" in request.headers.get("transfer-encoding", "").lower():
            raise OSError("chunked requests aren't passed")
        self._relay(client, server, request.length, rest, limit)
        if limit is not None:
            _reset(client)
            _reset(server)
            return False
        return self._relay_answer(request, action, client, server)

    def _relay_answer(
        self, request: Request, action: Action, client: socket.socket, server: socket.socket
    ) -> bool:
        head, rest = _read_head(server)
        if not head:
            return False
        answer = _parse(head)
        if isinstance(action, LoseAnswer):
            _reset(client)
            return False
        # A server that sends its client to an address of its own would lead it past us.
        own = f"//{self._upstream[0]}:{self._upstream[1]}".encode()
        head = head.replace(own, f"//127.0.0.1:{self._port}".encode())
        status = int(head.split(b" ", 2)[1])
        if request.method == "HEAD" or status in (204, 304):
            client.sendall(head)
            return True
        if "content-length" not in answer.headers:
            # Chunked, or ended by the connection's end: passed as it comes, and the connection given up. The
            # client is told, or it would send its next request into it.
            client.sendall(_last(head))
            server.settimeout(2.0)
            with suppress(TimeoutError):
                client.sendall(rest)
                while not rest.endswith(b"0\r\n\r\n") and (rest := server.recv(_PIECE)):
                    client.sendall(rest)
            return False
        client.sendall(head)
        if isinstance(action, TruncateAnswer):
            self._relay(server, client, min(action.after, answer.length), rest[: action.after])
            return False
        alter = action.at if isinstance(action, AlterAnswer) else None
        self._relay(server, client, answer.length, rest, alter_at=alter)
        return answer.headers.get("connection", "").lower() != "close"

    def _relay(
        self,
        source: socket.socket,
        sink: socket.socket | None,
        length: int,
        rest: bytes,
        limit: int | None = None,
        alter_at: int | None = None,
    ) -> None:
        passed = 0
        stop = length if limit is None else min(length, limit)
        while passed < stop:
            piece = rest or source.recv(min(_PIECE, stop - passed))
            rest = b""
            if not piece:
                raise ConnectionError("closed inside a body")
            if alter_at is not None and passed <= alter_at < passed + len(piece):
                changed = bytearray(piece)
                changed[alter_at - passed] ^= 1
                piece = bytes(changed)
            if sink is not None:
                sink.sendall(piece)
            passed += len(piece)
            if self.bytes_per_s is not None:
                time.sleep(len(piece) / self.bytes_per_s)


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(_PIECE)
        if not piece:
            return b"", b""
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    return head + b"\r\n\r\n", rest


def _parse(head: bytes) -> Request:
    lines = head.decode("latin-1").split("\r\n")
    first = lines[0].split(" ")
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(first[0], first[1], headers, head)


def _answer(action: Respond) -> bytes:
    headers = {"content-length": str(len(action.body)), "content-type": "application/xml", **action.headers}
    lines = [f"HTTP/1.1 {action.status} Injected", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + action.body


def _last(head: bytes) -> bytes:
    """The head of the last answer on its connection."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith((b"connection:", b"keep-alive:"))]
    return b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n"


def _reset(connection: socket.socket) -> None:
    """Close so that the other side sees a reset, not an end: zero linger (Linux, socket(7), SO_LINGER)."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
