"""Segments brought from a destination to this machine, every byte checked against its name before it is used.

Small ones, of which a sink that seals each second leaves thousands, are kept in memory: a file of its own
costs more than reading them. The others lie on the local disk.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from replicator.errors import IntegrityError
from replicator.restore.segments.catalog import Piece
from replicator.restore.segments.sources import SegmentUnusableError, Sources
from replicator.segment.container import Header
from replicator.segment.name import SegmentName
from replicator.segment.read import Opened, TruncatedError, open_header

_FIRST_READ = 64 * 2**10
_OTHER_COPY = "restore from another destination, or put the object back from a copy"
_LOCKS = 256
SMALL = 16 * 2**10
"""Segments of at most so many bytes are small."""
_KEPT = 64 * 2**20
"""So many bytes of small ones are kept in memory, beside those that pass by."""
_WINDOW = 1024
_QUICK_S = 0.0005
"""Sources that give a small segment in less time are asked one by one: handing over to threads costs more."""
_FIRST_WINDOW = 16
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A piece whose segment is on this machine, complete and unaltered: a file, or its bytes."""

    piece: Piece
    held: Path | bytes
    header: Header
    record_schema: str
    blocks_at: int
    sync: bytes

    @property
    def size(self) -> int:
        """Bytes of the segment."""
        return len(self.held) if isinstance(self.held, bytes) else self.held.stat().st_size

    def content(self, room: bytearray) -> memoryview:
        """The segment's bytes: a file's lie in `room`, which must be as large, until that is used again."""
        if isinstance(self.held, bytes):
            return memoryview(self.held)
        with self.held.open("rb", buffering=0) as file, memoryview(room) as view:
            return memoryview(room)[: file.readinto(view)]


class Fetcher:
    """Downloads segments, large ones into a scratch directory of this restore; safe to share between
    threads.
    """

    def __init__(self, sources: Sources, scratch: Path, threads: int = 6) -> None:
        self._sources = sources
        self.scratch = scratch
        self._pool = ThreadPoolExecutor(threads, "fetch")
        self._downloading = [threading.Lock() for _ in range(_LOCKS)]
        self._held: dict[SegmentName, Path | bytes] = {}
        self._lock = threading.Lock()
        self._room = _KEPT
        self._best_s = 60.0
        self.firsts: dict[Piece, Any] = {}
        """What `replicator.restore.moment.edges` learned of first records; many edges ask for the same."""

    def workers(self, most: int) -> int:
        """How many threads are worth it for many small reads: one where a source answers at once, since the
        threads would wait for each other instead.
        """
        return 1 if self._best_s < _QUICK_S else most

    def close(self) -> None:
        """Stop downloading; what was started is finished."""
        self._pool.shutdown(cancel_futures=True)

    def fetch(self, pieces: Iterable[Piece]) -> list[Fetched]:
        """All pieces, several at a time, in the order given; for one that no source has any more, those that
        stand in.

        `IntegrityError` names the first segment that isn't what its name says and that nothing stands in for;
        `StorageError` when no source answers.
        """
        return list(self._each([*pieces], self._keeping))

    def stream(self, pieces: Sequence[Piece]) -> Iterator[Fetched]:
        """As `fetch`, for a single pass: while some are used the next ones are brought, and small ones aren't
        kept.
        """
        under_way: deque[Iterator[Fetched]] = deque()
        first, size = 0, _FIRST_WINDOW
        while first < len(pieces):
            under_way.append(self._each(pieces[first : first + size], self._passing))
            first, size = first + size, _WINDOW
            if len(under_way) > 1:
                yield from under_way.popleft()
        while under_way:
            yield from under_way.popleft()

    def _each(self, pieces: Sequence[Piece], bring: Callable[[Piece], Fetched]) -> Iterator[Fetched]:
        """The pieces in order. Threads begin with them at once, but for small ones of a quick source."""
        quick = self.workers(2) == 1
        begun: list[Future[list[Fetched]] | None] = [
            None
            if quick and piece.size <= SMALL
            else self._pool.submit(lambda each: [*self.through(each, bring)], piece)
            for piece in pieces
        ]
        return (
            one
            for piece, future in zip(pieces, begun, strict=True)
            for one in (self.through(piece, bring) if future is None else future.result())
        )

    def through(self, piece: Piece, read: Callable[[Piece], _T]) -> Iterator[_T]:
        """What `read` gives for the piece; or else for the pieces that hold the same offsets, in their order.

        `read` raises `SegmentUnusableError` where it can't do with what the sources give.
        """
        try:
            found = read(piece)
        except SegmentUnusableError as error:
            for other in self._sources.instead(piece, error):
                yield from self.through(other, read)
        else:
            yield found

    def beginnings(self, piece: Piece) -> Iterator[bytes]:
        """Ever longer beginnings of the segment, the last one as long as the listing says; nothing vouches
        for them. `SegmentUnusableError` when no source gives one.
        """
        size = 4 * _FIRST_READ
        while size < piece.size:
            yield self._sources.read(piece.name, 0, size)
            size *= 4
        yield self._sources.read(piece.name, 0, piece.size)

    def whole(self, piece: Piece) -> bytes:
        """The segment's bytes, compared with its name; `SegmentUnusableError` when no source has them."""
        return self._sources.fetch(piece)

    def remove(self, fetched: Iterable[Fetched]) -> None:
        """Give memory and disk space back."""
        for one in fetched:
            with self._lock:
                held = self._held.pop(one.piece.name, None)
                self._room += len(held) if isinstance(held, bytes) else 0
            if isinstance(held, Path):
                held.unlink(missing_ok=True)

    def _keeping(self, piece: Piece) -> Fetched:
        return self._fetched(piece, keep=True)

    def _passing(self, piece: Piece) -> Fetched:
        return self._fetched(piece, keep=False)

    def _fetched(self, piece: Piece, *, keep: bool) -> Fetched:
        name = piece.name
        # Two pieces may be of one segment, where another destination's stands between them.
        with self._downloading[hash(name) % _LOCKS]:
            held = self._held.get(name)
            if held is None:
                held, opened = self._download(piece, keep=keep)
            else:
                opened = open_header(held if isinstance(held, bytes) else _beginning(held), name.key())
        _check_left_out(piece, opened.header)
        self._sources.took(piece)
        return Fetched(piece, held, opened.header, opened.record_schema, opened.blocks_at, opened.sync)

    def _download(self, piece: Piece, *, keep: bool) -> tuple[Path | bytes, Opened]:
        name = piece.name
        begun = time.perf_counter()
        body = self._sources.fetch(piece, counted=True)
        small = len(body) <= SMALL
        if small:
            self._best_s = min(self._best_s, time.perf_counter() - begun)
        try:
            opened = open_header(body, name.key())
            _check_header(name, opened.header)
        except IntegrityError as error:
            # The bytes are what was stored under this name: every source would give the same.
            raise SegmentUnusableError(error) from error
        if small and not keep:
            return body, opened
        with self._lock:
            in_memory = small and len(body) <= self._room
            if in_memory:
                self._room -= len(body)
                self._held[name] = body
        if in_memory:
            return body, opened
        folder = self.scratch / name.topic / name.topic_id / f"{name.partition:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name.first:020d}-{name.next:020d}.{name.sha256_16}.avro"
        path.write_bytes(body)
        with self._lock:
            self._held[name] = path
        return path, opened


def _beginning(path: Path) -> bytes:
    size = _FIRST_READ
    with path.open("rb") as file:
        data = file.read(size)
        while True:
            try:
                open_header(data, str(path.name))
            except TruncatedError:
                more = file.read(4 * size)
                if not more:
                    raise
                data += more
            else:
                return data


def _check_header(name: SegmentName, header: Header) -> None:
    if (header.chain, header.first, header.next) != (name.chain, name.first, name.next):
        raise IntegrityError(
            f"{name.key()} says of itself that it is {header.chain} {header.first}-{header.next}: "
            "it was copied to a wrong name.",
            next_step=_OTHER_COPY,
        )


def _check_left_out(piece: Piece, header: Header) -> None:
    gaps = [gap for gap in header.left_out if gap.first < piece.stop and piece.start < gap.next]
    if gaps:
        error = IntegrityError(
            f"{piece.name.key()} leaves out offsets {gaps[0].first} to {gaps[0].next - 1} "
            f"({gaps[0].reason}); a restore without them would be approximate.",
            next_step="`replicator dlq list` names their letters: `replicator replay` fills in what it can, "
            "`dlq discard` gives up what nobody misses; or restore from another destination",
        )
        raise SegmentUnusableError(error, gaps)
