"""What can be wrong with a destination, each kind apart from the others, because the cure differs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from replicator.segment.name import Chain


class Kind(Enum):
    """A kind of trouble. `harmful` ones mean that a restore from this destination alone may be refused."""

    MISSING = "missing"
    """Offsets that no segment holds, though the chain goes on behind them or was committed that far."""
    SHORT = "short"
    """An object that ends before its content does."""
    ALTERED = "altered"
    """Bytes that aren't those that its name was made of."""
    UNREADABLE = "unreadable"
    """The store lists the object and doesn't give it: a disabled key, an archive class, a bad disk."""
    DEAD_LETTER = "dead_letter"
    """A hole that is known: a dead letter stands for it, and replay will close it."""
    METADATA_LOST = "metadata_lost"
    """The bytes are right; the checksum that was stored beside them is gone or another."""
    WRONG_CLASS = "wrong_class"
    """The object lies in another storage class than the destination is configured for."""
    UNKNOWN = "unknown"
    """An object that no part of this program writes."""

    @property
    def harmful(self) -> bool:
        """Whether data can't be had from here."""
        return self in _HARMFUL


_HARMFUL = frozenset((Kind.MISSING, Kind.SHORT, Kind.ALTERED, Kind.UNREADABLE))


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble: of an object (`key`), or of offsets `[first, next)` of a chain, or of both."""

    kind: Kind
    detail: str
    key: str | None = None
    chain: Chain | None = None
    first: int | None = None
    next: int | None = None

    def __str__(self) -> str:
        if self.key is not None:
            place = self.key
        elif self.chain is not None and self.first is not None and self.next is not None:
            place = f"{self.chain} offsets {self.first} to {self.next - 1}"
        else:
            place = str(self.chain or "")
        return f"{self.kind.value.replace('_', ' ')}: {place}: {self.detail}"

    def as_json(self) -> dict[str, Any]:
        """For scripts; absent facts are null."""
        return {
            "kind": self.kind.value,
            "detail": self.detail,
            "key": self.key,
            "topic": self.chain.topic if self.chain else None,
            "topic_id": self.chain.topic_id if self.chain else None,
            "partition": self.chain.partition if self.chain else None,
            "first": self.first,
            "next": self.next,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Finding:
        """What `as_json` gave; `KeyError`, `ValueError` or `TypeError` for anything else."""
        chain = None
        if facts["topic"] is not None:
            chain = Chain(facts["topic"], facts["topic_id"], int(facts["partition"]))
        return cls(Kind(facts["kind"]), facts["detail"], facts["key"], chain, facts["first"], facts["next"])
