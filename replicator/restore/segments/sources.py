"""The destinations that a restore reads: what each of them has, and who stands in when one fails.

Every byte is compared with the segment's name before it is used, whoever gives it. So it doesn't matter
where a segment comes from, and a source that fails in the middle is replaced without starting over: by
another one that has the same segment, or else by segments that hold the same offsets and were cut elsewhere.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from replicator.bases import BaseChain
from replicator.errors import IntegrityError, ReplicatorError
from replicator.restore.segments import catalog
from replicator.restore.segments.catalog import Catalog, Listing, Piece
from replicator.segment.container import LeftOut
from replicator.segment.name import CHANGES, Chain, SegmentName
from replicator.segment.pieces import resolve
from replicator.segment.ranges import Ranges
from replicator.storage import ErrorKind, ObjectStore, StorageError

_log = structlog.get_logger()
_OTHER_COPY = "restore from another destination, or put the object back from a copy (`replicator repair`)"
_WITHOUT_BASE = (
    "restore with --no-base, from the changes themselves (where retention hasn't removed them), or from "
    "another destination; then `replicator compact` makes a new base"
)


class SegmentUnusableError(Exception):
    """No source can give what a piece needs of its segment; `error` is what the first one answered.

    `left_out` are ranges without which the segment is good.
    """

    def __init__(self, error: ReplicatorError, left_out: Sequence[LeftOut] = ()) -> None:
        super().__init__(str(error))
        self.error = error
        self.left_out = left_out


@dataclass(slots=True)
class Share:
    """What one source gave. `failed` says why it isn't asked any more."""

    segments: int = 0
    bytes: int = 0
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts; bytes as transferred."""
        return {"segments": self.segments, "bytes": self.bytes, "failed": self.failed}


@dataclass(frozen=True, slots=True)
class Whole:
    """A segment that was read whole: who gave it, its bytes and their SHA-256 in hex."""

    source: str
    size: int
    sha256: str


@dataclass(slots=True)
class _Held:
    """A segment, and the sources that still can be asked for it, in the order of preference."""

    size: int
    sources: list[str] = field(default_factory=list)


class Sources:
    """The sources in the order of preference. Safe to share between threads.

    `shares` tells what came from where, `replaced` in words what had to come from elsewhere than planned.
    """

    def __init__(self, stores: Sequence[tuple[str, ObjectStore]], cluster_id: str | None = None) -> None:
        self._stores = dict(stores)
        self._lock = threading.Lock()
        self._listed: list[tuple[str, Listing]] = []
        self._held: dict[Chain, dict[SegmentName, _Held]] = {}
        self._errors: dict[SegmentName, ReplicatorError] = {}
        self._digests: dict[SegmentName, str] = {}
        self.shares = {name: Share() for name, _ in stores}
        self.replaced: list[str] = []
        self._read: dict[SegmentName, Whole] = {}
        self._taken: dict[SegmentName, set[tuple[int, int]]] = defaultdict(set)
        self.objects: dict[str, Whole] = {}
        """What was read that is no segment, by key: the manifests of bases."""
        self.cluster_id = cluster_id
        """Of the Kafka cluster whose offsets they hold; None where no mark tells."""

    def leave_out(self, name: str, error: ReplicatorError) -> None:
        """Don't ask this one for anything."""
        self.shares.setdefault(name, Share()).failed = error.message
        _log.warning("a source is left out; the others are read", source=name, error=error.message)

    def catalog(self) -> Catalog:
        """What they hold together: the first source's chains, with the others' segments where it has holes.

        A source that doesn't answer is left out; `StorageError` when none of them answers.
        """
        listings = []
        first_error: StorageError | None = None
        for name, store in self._stores.items():
            if self.shares[name].failed is not None:
                continue
            try:
                listing = catalog.listing(store.list(CHANGES))
            except StorageError as error:
                first_error = first_error or error
                self._give_up(name, error)
                continue
            listings.append(listing)
            self._listed.append((name, listing))
        if first_error is not None and not listings:
            raise first_error
        return catalog.together(*listings)

    def read_object(self, source: str, key: str) -> bytes:
        """An object that is no segment, from that source; `StorageError` as the store has it."""
        body = self._stores[source].get(key)
        with self._lock:
            self.objects[key] = Whole(source, len(body), hashlib.sha256(body).hexdigest())
        return body

    def add_base(self, chains: Iterable[BaseChain], holders: Iterable[str]) -> None:
        """Let the segments of a base be asked for, of these sources; their whole hashes are known."""
        with self._lock:
            for chain in chains:
                for segment in chain.segments:
                    name = segment.name
                    self._of(chain.chain)[name] = _Held(segment.size, list(holders))
                    self._digests[name] = segment.sha256

    def answering(self) -> dict[str, ObjectStore]:
        """Those that aren't given up, by name, in the order of preference."""
        return {name: store for name, store in self._stores.items() if self.shares[name].failed is None}

    def planned(self, pieces: Iterable[Piece]) -> dict[str, Share]:
        """From where the pieces would come, if nothing fails; sources that would give nothing included."""
        shares = {name: Share(failed=share.failed) for name, share in self.shares.items()}
        if len(self._stores) == 1:
            share = shares[next(iter(self._stores))]
            for piece in pieces:
                share.segments += 1
                share.bytes += piece.size
            return shares
        for piece in pieces:
            holders = self._holders(piece.name)
            if holders:
                shares[holders[0]].segments += 1
                shares[holders[0]].bytes += piece.size
        return shares

    def fetch(self, piece: Piece, *, counted: bool = False) -> bytes:
        """The whole segment of a piece, from the first source that gives the bytes that its name stands for.

        `counted` adds it to the source's segments, which a look at its beginning isn't worth.
        `SegmentUnusableError` when none does; `instead` knows what may stand in.
        """
        name = piece.name
        errors: list[ReplicatorError] = []
        for source in self._holders(name):
            try:
                body = self._ask(source, name, None, None)
                digest = _check_body(name, body, piece.size, self._digests.get(name))
            except (StorageError, IntegrityError) as error:
                errors.append(error)
                self._failed(source, name, error)
                continue
            with self._lock:
                self.shares[source].segments += counted
                self._read[name] = Whole(source, len(body), digest)
            return body
        raise SegmentUnusableError(errors[0] if errors else self._error_of(name))

    def took(self, piece: Piece) -> None:
        """The piece's records are used, of a segment that was fetched."""
        with self._lock:
            self._taken[piece.name].add((piece.start, piece.stop))

    def evidence(self) -> list[tuple[SegmentName, Whole, Ranges]]:
        """The segments whose records are used, in order, with the offsets that were taken of each."""
        with self._lock:
            return [(name, self._read[name], Ranges.of(taken)) for name, taken in sorted(self._taken.items())]

    def read(self, name: SegmentName, start: int, end: int) -> bytes:
        """A part of a segment, as the first source that answers gives it: nothing vouches for it yet.

        `SegmentUnusableError` when none answers.
        """
        errors: list[ReplicatorError] = []
        for source in self._holders(name):
            try:
                return self._ask(source, name, start, end)
            except (StorageError, IntegrityError) as error:
                errors.append(error)
                self._failed(source, name, error)
        raise SegmentUnusableError(errors[0] if errors else self._error_of(name))

    def instead(self, piece: Piece, unusable: SegmentUnusableError) -> list[Piece]:
        """Pieces that hold the same offsets, from segments that can still be asked for.

        Raises the error that made the piece unusable when they don't hold all of them.
        """
        wanted = Ranges.of([(piece.start, piece.stop)])
        kept = wanted - wanted
        if unusable.left_out:
            kept = wanted - Ranges.of((gap.first, gap.next) for gap in unusable.left_out)
        with self._lock:
            others = [
                (name, held.size)
                for name, held in self._of(piece.name.chain).items()
                if (name != piece.name and name.root == piece.name.root)
                and any(self.shares[each].failed is None for each in held.sources)
            ]
        found = [Piece(piece.name, piece.size, first, stop) for first, stop in kept]
        for first, stop in wanted - kept:
            near = [each for each in others if each[0].first < stop and first < each[0].next]
            for other in resolve(piece.name.chain, near).pieces:
                start, end = max(other.start, first), min(other.stop, stop)
                if start < end:
                    found.append(Piece(other.name, other.size, start, end))
        found.sort(key=lambda each: each.start)
        if Ranges.of((each.start, each.stop) for each in found) != wanted:
            raise self._with_who_failed(unusable.error)
        told = f"{piece.name.key()}: {unusable.error.message} Read instead: " + ", ".join(
            each.name.key() for each in found if each.name != piece.name
        )
        with self._lock:
            if told not in self.replaced:
                self.replaced.append(told)
        return found

    def as_json(self) -> dict[str, Any]:
        """What came from where, for scripts."""
        return {
            "sources": {name: share.as_json() for name, share in self.shares.items()},
            "replaced": list(self.replaced),
        }

    @property
    def segments(self) -> int:
        """Segments that were read whole, to be used."""
        return sum(share.segments for share in self.shares.values())

    @property
    def size(self) -> int:
        """Bytes that were transferred."""
        return sum(share.bytes for share in self.shares.values())

    def close(self) -> None:
        """Release all connections."""
        for store in self._stores.values():
            store.close()

    def _holders(self, name: SegmentName) -> list[str]:
        with self._lock:
            held = self._of(name.chain).get(name)
            return [] if held is None else [one for one in held.sources if self.shares[one].failed is None]

    def _of(self, chain: Chain) -> dict[SegmentName, _Held]:
        """The chain's segments and who has them; under the lock. Of most chains a plan asks for few."""
        if chain not in self._held:
            held: dict[SegmentName, _Held] = {}
            for source, listing in self._listed:
                for name, size in listing.segments.get(chain, ()):
                    held.setdefault(name, _Held(size)).sources.append(source)
            self._held[chain] = held
        return self._held[chain]

    def _ask(self, source: str, name: SegmentName, start: int | None, end: int | None) -> bytes:
        try:
            body = self._stores[source].get(name.key(), start=start, end=end)
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            raise IntegrityError(
                f"{name.key()} was listed and is gone now: somebody deletes segments while this restore "
                "reads them.",
                next_step="stop what deletes (a lifecycle rule?), then restore from another destination",
            ) from error
        with self._lock:
            self.shares[source].bytes += len(body)
        return body

    def _failed(self, source: str, name: SegmentName, error: ReplicatorError) -> None:
        """A store that doesn't answer is given up; another error is about this one object."""
        if isinstance(error, StorageError) and error.kind in (ErrorKind.TRANSIENT, ErrorKind.THROTTLED):
            self._give_up(source, error)
        with self._lock:
            self._errors.setdefault(name, error)
            held = self._of(name.chain)[name]
            # The only one that there is, is asked again: nobody else could answer.
            if source in held.sources and len(self._stores) > 1:
                held.sources.remove(source)
            told = f"{name.key()} from {source}: {error.message}"
            if len(self._stores) > 1 and told not in self.replaced:
                self.replaced.append(told)

    def _give_up(self, source: str, error: StorageError) -> None:
        with self._lock:
            share = self.shares[source]
            if len(self._stores) == 1 or share.failed is not None:
                return
            share.failed = error.message
        _log.warning("a source doesn't answer; the others are read", source=source, error=error.message)

    def _failures(self) -> str:
        return "; ".join(f"{one}: {share.failed}" for one, share in self.shares.items() if share.failed)

    def _with_who_failed(self, error: ReplicatorError) -> ReplicatorError:
        """The error; that others might have stood in is the first thing to know where they don't answer."""
        failures = self._failures()
        if failures and failures not in error.message:
            error.message += f" Not asked, because it failed before: {failures}"
        return error

    def _error_of(self, name: SegmentName) -> ReplicatorError:
        """Why nobody is left to ask for a segment."""
        if name in self._errors:
            return self._errors[name]
        failed = self._failures()
        return StorageError(
            f"No source gives {name.key()} any more. {failed}".rstrip(),
            kind=ErrorKind.FATAL,
            next_step="see that one of them answers, then restore again",
        )


def _check_body(name: SegmentName, body: bytes, listed: int, whole: str | None = None) -> str:
    """The SHA-256 of the bytes, in hex; `IntegrityError` when the name, or `whole`, says another."""
    digest = hashlib.sha256(body).hexdigest()
    if digest[:16] != name.sha256_16 or (whole is not None and digest != whole):
        size = "" if len(body) == listed else f" It has {len(body)} bytes and was listed with {listed}."
        raise IntegrityError(
            f"{name.key()} is damaged: its bytes hash to {digest[:16]}…, not to what its name says.{size} "
            f"It holds {name.chain} offsets {name.first} to {name.next - 1}.",
            next_step=_OTHER_COPY if name.base is None else _WITHOUT_BASE,
        )
    return digest
