"""A restore point as a value, and the bytes that are signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

FORMAT = 1
PREFIX = "v1/points/"


@dataclass(frozen=True, slots=True, order=True)
class ChainEnd:
    """Every record of the topic-partition below offset `end` is durable."""

    topic: str
    topic_id: str
    partition: int
    end: int


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """All transactions whose commit record lies before `lsn` are durable in the destination.

    `committed_ms` is when the last of them was committed, by PostgreSQL's clock; `commit_offset` is where its
    END stands in the transaction topic; `made_ms` is when control found it so.
    """

    installation: str
    cluster_id: str
    destination: str
    lsn: int
    xid: int
    committed_ms: int
    commit_offset: int
    made_ms: int
    epoch: int
    ends: tuple[ChainEnd, ...]

    def body(self) -> bytes:
        """The bytes that are signed: canonical JSON, so that the same point always has the same."""
        return json.dumps(
            {"format": FORMAT, **asdict(self)}, sort_keys=True, separators=(",", ":"), ensure_ascii=True
        ).encode()

    def key(self) -> str:
        """Where the destination keeps it; keys sort by the time of the commit, then by LSN."""
        moment = datetime.fromtimestamp(self.committed_ms / 1000, UTC)
        return f"{PREFIX}{moment:%Y%m%dT%H%M%S}{self.committed_ms % 1000:03d}Z-{self.lsn:016X}.json"

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.committed_ms / 1000, UTC)
        where = f"{self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}"
        return f"restore point {where} of {self.destination}, committed {at:%Y-%m-%d %H:%M:%S} UTC"

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> RestorePoint:
        """The point of decoded JSON or Avro; `KeyError`, `TypeError` or `ValueError` when it is none."""
        ends = tuple(
            ChainEnd(str(each["topic"]), str(each["topic_id"]), int(each["partition"]), int(each["end"]))
            for each in fields["ends"]
        )
        text = {name: str(fields[name]) for name in ("installation", "cluster_id", "destination")}
        numbers = {
            name: int(fields[name])
            for name in ("lsn", "xid", "committed_ms", "commit_offset", "made_ms", "epoch")
        }
        return cls(**text, **numbers, ends=ends)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class SignedPoint:
    """A point with who signed it; both None when nobody did."""

    point: RestorePoint
    key_id: str | None
    signature: bytes | None
