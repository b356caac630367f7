"""What makes a destination this one: its fingerprint, and the mark that an installation leaves in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass

from replicator.config import Destination
from replicator.errors import ConfigError, IntegrityError
from replicator.segment.name import FORMAT
from replicator.storage import ErrorKind, ObjectStore, PutResult, StorageError

MARK = "v1/installation.json"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decides where and how data goes, in twelve hex digits, and in words for people. No secrets."""

    digest: str
    words: str

    def __str__(self) -> str:
        return f"{self.words} ({self.digest})"


def fingerprint(installation: str, destination: Destination) -> Fingerprint:
    """Equal for two sinks exactly if they put the same records in the same place in the same way."""
    words = destination.words
    words += f", prefix {destination.prefix!r}, installation {installation!r}"
    facts = json.dumps([FORMAT, installation, destination.type, *destination.identity])
    return Fingerprint(hashlib.sha256(facts.encode()).hexdigest()[:12], words[:600])


def mark(
    store: ObjectStore,
    installation: str,
    cluster_id: str,
    written: Callable[[], bool],
    *,
    name: str | None = None,
    others: Collection[str] = (),
) -> None:
    """Leave the installation's mark in the destination, or find it there.

    `name` is the destination's own, `others` are those of the installation's further destinations: the mark
    of one of them means that two addresses lead to one place, a `ConfigError`. That of a name which isn't
    configured any more is a destination that was renamed.

    `written` tells whether the group committed offsets of records that went here. `ConfigError` if it did and
    there is no mark, or if there is another installation's mark, or that of another Kafka: offsets of one
    mean nothing in the other. `StorageError` as the store raises it, and what `written` raises.
    """
    facts: dict[str, object] = {"format": FORMAT, "installation": installation, "cluster_id": cluster_id}
    if name is not None:
        facts["destination"] = name
    body = json.dumps(facts, separators=(",", ":")).encode()
    found = _find(store)
    if found is None:
        if written():
            raise ConfigError(
                f"The destination is empty (it has no {MARK}), but the group has committed records that were "
                "stored in it. It was emptied, replaced, or isn't mounted; nothing was written or committed.",
                next_step="mount or restore what was there; to begin anew in the empty place, give the "
                "destination a new name (it then begins from the earliest records that Kafka has)",
            )
        if store.put(MARK, body, sha256=hashlib.sha256(body).hexdigest()) is PutResult.CREATED:
            return
        found = store.get(MARK)
    try:
        facts = json.loads(found)
        theirs = (facts["installation"], facts["cluster_id"], facts["format"])
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(
            f"{MARK} in the destination is damaged; nothing was written.",
            next_step="compare it with another destination's, and restore it by hand",
        ) from None
    if theirs != (installation, cluster_id, FORMAT):
        raise ConfigError(
            f"This destination belongs to installation {theirs[0]!r} of Kafka cluster {theirs[1]} (format "
            f"{theirs[2]}), not to {installation!r} of {cluster_id} (format {FORMAT}); nothing was written.",
            next_step="give this installation a bucket, a path or a prefix of its own",
        )
    theirs_too = facts.get("destination")
    if name is not None and theirs_too != name and theirs_too in others:
        raise ConfigError(
            f"This place is destination {theirs_too!r} of this installation already, and {name!r} leads to "
            "it, too: they would count as two copies and be one; nothing was written.",
            next_step=f"give {name!r} a bucket, a path or a prefix of its own",
        )


def _find(store: ObjectStore) -> bytes | None:
    try:
        return store.get(MARK)
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return None
        raise
