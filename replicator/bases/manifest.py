"""What a base says of itself: its cut, its segments, and all that the small topics gave until then.

A base without its manifest isn't there: the manifest is written last, when everything in it was read back and
proven. A restore that begins with a base takes what the manifest says for proven, so it is signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import Commit
from replicator.segment.name import Chain, SegmentName
from replicator.segment.pieces import Piece

FORMAT = 2
FORMATS = (1, FORMAT)
_LATER = ("marks", "began")
"""What format 1 hasn't got."""
PREFIX = "v1/bases/"
CONTEXT = b"replicator base 1\n"
"""What the signature is over, before the body: no other thing that the key signs begins like it."""


@dataclass(frozen=True, slots=True)
class BaseSegment:
    """One segment: the full SHA-256 of its bytes in hex, and which commits its records are of.

    All of them lie between the commits `first_commit` and `last_commit`, and no DDL was logged within.
    """

    key: str
    size: int
    sha256: str
    count: int
    first_commit: int
    last_commit: int

    @property
    def name(self) -> SegmentName:
        """The key's name; `ValueError` when it is none of a base's segment."""
        found = SegmentName.parse_folded(self.key)
        if found is None:
            raise ValueError(f"{self.key} is no segment of a base")
        return found


@dataclass(frozen=True, slots=True)
class BaseChain:
    """One chain: the base stands for its records below `stop`, and holds those in `segments`.

    `digest` is the SHA-256 over these records' bytes in the order of their offsets, as
    `replicator.compact.streams` has it: computed from the chain and from the base, and equal.
    """

    topic: str
    topic_id: str
    partition: int
    stop: int
    digest: str
    segments: tuple[BaseSegment, ...]

    @property
    def chain(self) -> Chain:
        """Its name."""
        return Chain(self.topic, self.topic_id, self.partition)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Its segments as a reader takes them."""
        names = [segment.name for segment in self.segments]
        return tuple(
            Piece(name, segment.size, name.first, name.next)
            for name, segment in zip(names, self.segments, strict=True)
        )

    @property
    def records(self) -> int:
        """Records in all segments."""
        return sum(segment.count for segment in self.segments)


@dataclass(frozen=True, slots=True)
class BaseTable:
    """What was counted when the base was made: all that END and the snapshot said was there, and is in it.

    `records` are those that the base keeps; `events` and `snapshot_rows` those that were counted since the
    base before it, whose id is `Manifest.made_from`.
    """

    collection: str
    records: int
    events: int
    snapshot_rows: int


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """The newest logged value of a sequence: by which commit, under which id of the log."""

    name: str
    commit: int
    id: int
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class BaseMark:
    """A mark at or before the cut; as `replicator.restore.moment.marked.Marked`."""

    name: str
    number: int
    xid: int
    lsn: int
    micros: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One base. The cut is the end of commit number `commit`; LSNs are numbers, times microseconds of 1970.

    `latest_micros` is the latest time of any commit up to the cut. `commits` are those that later readers
    still need one by one: the cut's own, the DDL log's, and the one before each of these. `scanned` is the
    initial snapshot's count by table, `attempts` how often it was begun. `marks` are all marks up to the cut,
    and `began` the first commit with events of each table; both None in a base of format 1.
    """

    installation: str
    cluster_id: str
    destination: str
    commit: int
    lsn: int
    micros: int
    latest_micros: int
    made_ms: int
    made_from: str | None
    snapshot_lsn: int
    snapshot_micros: int
    snapshot_completed_ms: int
    attempts: int
    scanned: Mapping[str, int]
    commits: tuple[Commit, ...]
    sequences: tuple[SequenceValue, ...]
    tables: tuple[BaseTable, ...]
    chains: tuple[BaseChain, ...]
    marks: tuple[BaseMark, ...] | None = None
    began: Mapping[str, int] | None = None

    @property
    def id(self) -> str:
        """The cut's LSN and commit number; ids sort in commit order."""
        return base_id(self.lsn, self.commit)

    @property
    def key(self) -> str:
        """Where the destination keeps it."""
        return f"{PREFIX}{self.id}.json"

    @property
    def stops(self) -> dict[Chain, int]:
        """Of each chain the first offset that the base doesn't stand for."""
        return {each.chain: each.stop for each in self.chains}

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for chain in self.chains for segment in chain.segments)

    @property
    def records(self) -> int:
        """Records in all segments."""
        return sum(chain.records for chain in self.chains)

    def had_rows(self, collection: str, commit: int) -> bool:
        """Whether there may have been rows of the table up to a commit, which isn't behind the base's."""
        if self.began is None or self.scanned.get(collection):
            return True
        return collection in self.began and self.began[collection] <= commit

    def topic(self, topic: str) -> tuple[BaseChain, ...]:
        """The chains of a topic."""
        return tuple(chain for chain in self.chains if chain.topic == topic)

    def table(self, collection: str) -> BaseTable | None:
        """What was counted of a table."""
        return next((table for table in self.tables if table.collection == collection), None)

    def body(self) -> bytes:
        """The bytes that are signed: canonical JSON, so that the same base always has the same."""
        fields = {
            "format": FORMAT if self.marks is not None and self.began is not None else 1,
            **asdict(self),
        }
        if fields["format"] == 1:
            del fields["marks"], fields["began"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.micros / 1e6, UTC)
        return f"base {self.id} (commit {self.commit}, LSN {lsn_text(self.lsn)}, {at:%Y-%m-%d %H:%M:%S} UTC)"

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Manifest:
        """The manifest of decoded JSON; `KeyError`, `TypeError` or `ValueError` when it is none."""
        known = fields["format"]
        given = {name: fields[name] for name in cls.__slots__ if known > 1 or name not in _LATER}
        if known > 1:
            given["marks"] = _each(BaseMark, fields["marks"])
        given["commits"] = _each(Commit, fields["commits"])
        given["sequences"] = _each(SequenceValue, fields["sequences"])
        given["tables"] = _each(BaseTable, fields["tables"])
        given["chains"] = tuple(
            BaseChain(**{**each, "segments": _each(BaseSegment, each["segments"])})
            for each in fields["chains"]
        )
        made = cls(**given)
        for chain in made.chains:
            for piece in chain.pieces:
                if piece.name.chain != chain.chain or piece.name.base != made.id:
                    raise ValueError(f"{piece.name.key()} isn't of {chain.chain} in base {made.id}")
        return made


def base_id(lsn: int, commit: int) -> str:
    """The id of a base whose cut is there."""
    return f"{lsn:016X}-{commit:012d}"


def _each(kind: type[Any], items: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**item) for item in items)
