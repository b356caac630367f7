"""A restore's certificate as a value, and the bytes that are signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from replicator.segment.name import Chain, SegmentName
from replicator.segment.ranges import Ranges

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReadObject:
    """One object that was read whole: its key below the destination's prefix, its bytes, their SHA-256 in
    hex, and the offset ranges `[first, next)` that were taken of it, none where it is no segment.
    """

    key: str
    source: str
    size: int
    sha256: str
    taken: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ChainRange:
    """The offsets `[first, next)` of a topic-partition that the result needed, all of them."""

    topic: str
    topic_id: str
    partition: int
    first: int
    next: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class TableProof:
    """One table: rows in the target; events counted against the transactions, rows against the snapshot."""

    table: str
    rows: int
    events: int
    snapshot_rows: int


@dataclass(frozen=True, slots=True)
class Digest:
    """A table or a partition as `replicator.compare` sees it: how many rows, and the digest of them all."""

    table: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was restored, until which transaction, from which objects, and what was counted.

    `target` is what was asked for, `cut` where it ended (`commit`, `lsn`, `xid`, `time`); times are
    milliseconds since 1970. `proof` has the further figures and lists of the restore's report, `software` the
    versions, `restore_point` the point that covers the cut, None without a genuine one. `cluster_id` is None
    where no destination bears a mark. `digests` are of the restored rows, empty where nobody asked for them.
    """

    installation: str
    cluster_id: str | None
    begun_ms: int
    made_ms: int
    target: str
    cut: Mapping[str, Any]
    objects: tuple[ReadObject, ...]
    chains: tuple[ChainRange, ...]
    tables: tuple[TableProof, ...]
    proof: Mapping[str, Any]
    software: Mapping[str, str]
    restore_point: Mapping[str, Any] | None = None
    digests: tuple[Digest, ...] = ()

    def fields(self) -> dict[str, Any]:
        """For JSON, the format's number included."""
        return {"format": FORMAT, **asdict(self)}

    def body(self) -> bytes:
        """The bytes that are signed: canonical JSON, so that the same certificate always has the same."""
        text = json.dumps(self.fields(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return text.encode()

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(one.size for one in self.objects)

    def lacking(self) -> list[tuple[ChainRange, Ranges]]:
        """The chains of which the objects don't give every offset that was needed, with what they lack."""
        taken: dict[Chain, list[tuple[int, int]]] = {}
        for one in self.objects:
            name = SegmentName.parse(one.key)
            if name is not None:
                # More than the name's range can't have come from it, whatever is claimed.
                own = Ranges.of([(name.first, name.next)]) & Ranges.of(one.taken)
                taken.setdefault(name.chain, []).extend(own)
        found = []
        for needed in self.chains:
            chain = Chain(needed.topic, needed.topic_id, needed.partition)
            lost = Ranges.of([(needed.first, needed.next)]) - Ranges.of(taken.get(chain, ()))
            if lost:
                found.append((needed, lost))
        return found

    @classmethod
    def from_fields(cls, said: Mapping[str, Any]) -> Certificate:
        """The certificate of decoded JSON; `KeyError`, `TypeError` or `ValueError` when it is none."""
        objects = tuple(
            ReadObject(
                str(one["key"]),
                str(one["source"]),
                int(one["size"]),
                str(one["sha256"]),
                tuple((int(first), int(stop)) for first, stop in one["taken"]),
            )
            for one in said["objects"]
        )
        rest = {name: said[name] for name in ("cluster_id", "cut", "proof", "software", "restore_point")}
        return cls(
            installation=str(said["installation"]),
            begun_ms=int(said["begun_ms"]),
            made_ms=int(said["made_ms"]),
            target=str(said["target"]),
            objects=objects,
            chains=tuple(ChainRange(**each) for each in said["chains"]),
            tables=tuple(TableProof(**each) for each in said["tables"]),
            digests=tuple(Digest(**each) for each in said["digests"]),
            **rest,
        )


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """A certificate with who signed it; both None when nobody did."""

    certificate: Certificate
    key_id: str | None = None
    signature: bytes | None = None
