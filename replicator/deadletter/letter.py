"""Dead letters as values, and their Avro encoding.

A letter's id is a function of what it is about, so that a letter written twice (a crash between writing it
and knowing that) is one letter, and a settlement finds it by that id.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any

import fastavro

from replicator.errors import IntegrityError
from replicator.segment.name import Chain
from replicator.segment.wire import prefix_for

FORMAT = 1
FORMAT_HEADER = "letter_format"
"""The Kafka header that tells a letter's format before anything of it is decoded."""
_WIRE_PREFIX = 5


class Kind(Enum):
    """What a letter says."""

    RECORD = "record"
    """One record can't be stored; the letter holds its bytes."""
    RANGE = "range"
    """A healthy destination refuses the segment of a range; the records are in Kafka, as long as it keeps
    them."""
    SETTLEMENT = "settlement"
    """The letter of that id is closed."""
    ESCALATION = "escalation"
    """The letter of that id can't be closed without a person."""


class Reason(Enum):
    """Why, in one word: for filters, metrics and the `left_out` of a segment."""

    NOT_WIRE_FORMAT = "not-wire-format"
    UNKNOWN_SCHEMA = "unknown-schema"
    UNUSABLE_SCHEMA = "unusable-schema"
    TOO_LARGE = "too-large"
    REFUSED = "refused"
    STORED = "stored"
    """Settled: the range was read from Kafka, or the record from its letter, and is durable now."""
    COPIED = "copied"
    """Settled: another destination had it."""
    DISCARDED = "discarded"
    """Settled: a person said that nothing is missed."""
    UNRESOLVED = "unresolved"


class FutureLetterError(IntegrityError):
    """A letter of a format that this version doesn't know."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it was on the wire. `timestamp` is in ms since 1970."""

    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its key, value and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter about the offsets `[first, next)` of a chain. `written_at` is in ms since 1970."""

    id: str
    kind: Kind
    written_at: int
    destination: str
    chain: Chain
    first: int
    next: int
    reason: Reason
    detail: str
    record: Record | None = None
    by: str | None = None

    def __str__(self) -> str:
        last = "" if self.next == self.first + 1 else f" to {self.next - 1}"
        return f"{self.chain} offset{'s' if last else ''} {self.first}{last}"

    def answered(self, kind: Kind, reason: Reason, detail: str, now_ms: int, by: str | None) -> Letter:
        """The settlement or escalation of this letter."""
        return replace(self, kind=kind, reason=reason, detail=detail, written_at=now_ms, record=None, by=by)

    def as_json(self) -> dict[str, Any]:
        """The letter for people and programs; bytes in hex."""
        entries = asdict(self)
        chain = entries.pop("chain")
        record = entries.pop("record")
        entries |= {"kind": self.kind.value, "reason": self.reason.value, **chain}
        entries["written_at"] = datetime.fromtimestamp(self.written_at / 1000, UTC).isoformat()
        if record is not None:
            entries["record"] = {
                "timestamp": record["timestamp"],
                "key": _hex(record["key"]),
                "value": _hex(record["value"]),
                "headers": [[name, _hex(value)] for name, value in record["headers"]],
            }
        return entries


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def letter_id(chain: Chain, first: int, next_: int) -> str:
    """The id of the letter about that range: 16 hex digits."""
    place = f"{chain.topic}/{chain.topic_id}/{chain.partition}/{first}-{next_}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def record_letter(
    destination: str, chain: Chain, offset: int, record: Record, reason: Reason, detail: str, now_ms: int
) -> Letter:
    """The letter about one record that can't be stored."""
    id_ = letter_id(chain, offset, offset + 1)
    return Letter(id_, Kind.RECORD, now_ms, destination, chain, offset, offset + 1, reason, detail, record)


def range_letter(destination: str, chain: Chain, first: int, next_: int, detail: str, now_ms: int) -> Letter:
    """The letter about a range whose segment a healthy destination refuses."""
    id_ = letter_id(chain, first, next_)
    return Letter(id_, Kind.RANGE, now_ms, destination, chain, first, next_, Reason.REFUSED, detail)


@cache
def schema_text() -> str:
    """The schema of format 1, for the registry."""
    return (resources.files("schemas") / "dead_letter.avsc").read_text()


@cache
def _schema() -> Any:
    # Without logical types: times stay the milliseconds that they are.
    return fastavro.parse_schema(json.loads(schema_text(), object_hook=_physical))


def _physical(node: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "logicalType"}


def encode(letter: Letter, schema_id: int) -> bytes:
    """The letter in Confluent's wire format."""
    chain, record = letter.chain, letter.record
    body = BytesIO()
    content = {
        "format": FORMAT,
        "id": letter.id,
        "kind": letter.kind.value,
        "written_at": letter.written_at,
        "destination": letter.destination,
        "topic": chain.topic,
        "topic_id": chain.topic_id,
        "partition": chain.partition,
        "first": letter.first,
        "next": letter.next,
        "reason": letter.reason.value,
        "detail": letter.detail,
        "record": None
        if record is None
        else {
            "timestamp": record.timestamp,
            "key": record.key,
            "value": record.value,
            "headers": [{"key": name, "value": value} for name, value in record.headers],
        },
        "by": letter.by,
    }
    fastavro.schemaless_writer(body, _schema(), content)
    return prefix_for(schema_id) + body.getvalue()


def decode(value: bytes, headers: list[tuple[str, bytes | None]] | None, where: str) -> Letter:
    """The letter that a record of the topic holds; `where` names it in errors.

    `FutureLetterError` for a format that is newer than this version, `IntegrityError` for what is no letter.
    """
    said = next((text for name, text in headers or () if name == FORMAT_HEADER), None)
    if said is None:
        raise IntegrityError(
            f"{where} is no dead letter: it has no header {FORMAT_HEADER}.",
            next_step="find out what else writes to this topic; the other letters are not affected",
        )
    if said != str(FORMAT).encode():
        raise FutureLetterError(
            f"{where} is a dead letter of format {said.decode(errors='replace')}, and this version knows "
            f"format {FORMAT}. It was neither replayed nor settled; what it is about is still missing.",
            next_step="use the replicator version that wrote it, or a newer one",
        )
    try:
        content: Any = fastavro.schemaless_reader(BytesIO(value[_WIRE_PREFIX:]), _schema(), None)
        record = content["record"]
        return Letter(
            id=content["id"],
            kind=Kind(content["kind"]),
            written_at=content["written_at"],
            destination=content["destination"],
            chain=Chain(content["topic"], content["topic_id"], content["partition"]),
            first=content["first"],
            next=content["next"],
            reason=Reason(content["reason"]),
            detail=content["detail"],
            record=None
            if record is None
            else Record(
                record["timestamp"],
                record["key"],
                record["value"],
                tuple((each["key"], each["value"]) for each in record["headers"]),
            ),
            by=content["by"],
        )
    except (ValueError, LookupError, TypeError, EOFError) as error:
        raise IntegrityError(
            f"{where} can't be read as a dead letter: {type(error).__name__}: {error}",
            next_step="find out what else writes to this topic; the other letters are not affected",
        ) from None
