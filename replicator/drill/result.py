"""What a drill found, as a value, and as the object that destinations keep: `v1/drills/{time}-{id}.json`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from replicator.config import Control
from replicator.errors import IntegrityError
from replicator.points import Keys, Signer

FORMAT = 1
PREFIX = "v1/drills/"
_CONTEXT = b"replicator drill 1\n"


class State(StrEnum):
    """How a drill ended."""

    EQUAL = "equal"
    """Every table, definition and sequence equals the source at the same LSN."""
    PROVEN = "proven"
    """The restore is proven by counting; the source of that moment wasn't there to compare with."""
    DIFFERENT = "different"
    """The restore believed itself, and isn't what the source was."""
    REFUSED = "refused"
    """The restore refused: something is missing or contradicts itself. Nobody could restore that moment."""
    BROKEN = "broken"
    """The rehearsal itself broke: no scratch server, a source that doesn't answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """One drill. Times are milliseconds since 1970, durations seconds.

    `rpo_s` is how old the newest moment was that could have been restored when the drill began, `rto_s` how
    long the restore took until it was proven, `waited_s` how long until the destinations held the moment.
    `cut` is where it ended, `size` the bytes that were read; `different` are the tables, definitions and
    sequences that differ, in words, `keys` rows of them.
    """

    id: str
    installation: str
    begun_ms: int
    ended_ms: int
    state: State
    asked: str
    sources: tuple[str, ...]
    cut: Mapping[str, Any] | None = None
    rows: int = 0
    size: int = 0
    tables: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    rpo_s: float | None = None
    rto_s: float | None = None
    waited_s: float | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    different: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    error: str | None = None
    scratch: str | None = None
    software: str = ""

    @property
    def passed(self) -> bool:
        """Whether the moment was restored and found to be what it should be."""
        return self.state in (State.EQUAL, State.PROVEN)

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if self.error is not None:
            return f"{self.state}: {self.error}"
        if self.different:
            first = self.keys[0] if self.keys else self.different[0]
            return f"{self.state}: {len(self.different)} objects, the first: {first}"
        return f"{self.state}: {self.rows} rows in {len(self.tables)} tables"

    def fields(self) -> dict[str, Any]:
        """For JSON, the format's number included."""
        return {"format": FORMAT, **asdict(self)}

    def body(self) -> bytes:
        """The bytes that are signed: canonical JSON."""
        return json.dumps(self.fields(), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def key(self) -> str:
        """Where destinations keep it; keys sort by the time when it ended."""
        at = datetime.fromtimestamp(self.ended_ms / 1000, UTC)
        return f"{PREFIX}{at:%Y%m%dT%H%M%S}{self.ended_ms % 1000:03d}Z-{self.id}.json"

    @classmethod
    def from_fields(cls, said: Mapping[str, Any]) -> Result:
        """The result of decoded JSON; `KeyError`, `TypeError` or `ValueError` when it is none."""
        lists = ("sources", "tables", "not_compared", "different", "keys")
        known = {name: said[name] for name in cls.__slots__}
        for name in lists:
            known[name] = tuple(map(str, known[name]))
        known["state"] = State(known["state"])
        known["ended_ms"] = int(known["ended_ms"])
        return cls(**known)


def encode(result: Result, settings: Control) -> bytes:
    """The object's bytes, signed with `control.signing_key` where there is one."""
    key_id, signature = None, None
    if settings.signing_key is not None:
        key_id, signature = Signer(settings).sign_bytes(_CONTEXT, result.body())
    text = None if signature is None else base64.b64encode(signature).decode()
    return json.dumps({"drill": result.fields(), "key": key_id, "signature": text}, indent=1).encode()


def decode(body: bytes, key: str, keys: Keys) -> Result:
    """The result in an object's bytes.

    `IntegrityError` when it holds none, is of another format or of another place than `key`, or when keys are
    known and none of them signed it.
    """
    try:
        said = json.loads(body)
        if said["drill"]["format"] != FORMAT:
            raise IntegrityError(
                f"{key} is of format {said['drill']['format']!r}; this version knows {FORMAT}."
            )
        result = Result.from_fields(said["drill"])
        signature = said["signature"]
        signature = None if signature is None else base64.b64decode(signature, validate=True)
        key_id = said["key"]
        place = result.key()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, binascii.Error):
        raise IntegrityError(f"{key} holds no drill's result: it was truncated or altered.") from None
    if place != key:
        raise IntegrityError(f"{key} holds the drill whose place is {place}: it was renamed or altered.")
    if signature is not None or keys.any:
        why = keys.refusal(_CONTEXT, result.body(), key_id, signature)
        if why is not None:
            raise IntegrityError(f"The drill {key} {why}. It is not believed.")
    return result
