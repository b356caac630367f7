"""Bases as objects of a destination: `v1/bases/{id}.json`, and the mark that history begins with one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

from replicator.bases.manifest import CONTEXT, FORMATS, PREFIX, Manifest
from replicator.errors import IntegrityError
from replicator.storage import ErrorKind, ObjectStore, PutResult, StorageError

_FLOOR = ".floor"


class ForgedBaseError(IntegrityError):
    """A manifest that isn't what was written there, or whose signature nobody vouches for."""


class Signs(Protocol):
    """Who signs; `replicator.points.Signer` does."""

    def signature(self, context: bytes, body: bytes) -> tuple[str, bytes] | None:
        """The key's id and the signature; None where nothing is signed."""
        ...


class Believes(Protocol):
    """Who says what is believed; `replicator.points.Keys` does."""

    def doubt(self, context: bytes, body: bytes, key_id: str | None, signature: bytes | None) -> str | None:
        """Why it isn't believed, in words; None when it is."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """The bases of a destination, as its listing shows them."""

    ids: tuple[str, ...]
    """Of those that have a manifest, the oldest first."""
    floors: tuple[str, ...]
    """Of those before which retention has removed, or may have removed, what isn't needed any more."""


def list_bases(store: ObjectStore) -> Stored:
    """What the destination lists; nothing is read. `StorageError` as the store has it."""
    keys = [info.key.removeprefix(PREFIX) for info in store.list(PREFIX)]
    return Stored(
        tuple(sorted(key.removesuffix(".json") for key in keys if key.endswith(".json"))),
        tuple(sorted(key.removesuffix(_FLOOR) for key in keys if key.endswith(_FLOOR))),
    )


def name_of(store: ObjectStore) -> str | None:
    """What the newest base calls the destination that it is in, whoever wrote it; None without a base."""
    listed = list_bases(store).ids
    try:
        return str(json.loads(store.get(f"{PREFIX}{listed[-1]}.json"))["base"]["destination"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def publish(store: ObjectStore, manifest: Manifest, signer: Signs) -> PutResult:
    """Put the manifest, which makes the base be there; one that is there already is left alone."""
    body = manifest.body()
    signed = signer.signature(CONTEXT, body)
    key_id, signature = signed if signed is not None else (None, None)
    text = base64.b64encode(signature).decode() if signature is not None else None
    whole = json.dumps({"base": json.loads(body), "key": key_id, "signature": text}).encode()
    return store.put(manifest.key, whole, sha256=hashlib.sha256(whole).hexdigest())


def read(store: ObjectStore, base: str, keys: Believes, destination: str) -> Manifest:
    """The manifest of that id, believed: its bytes, its name, its place and its signature agree.

    `ForgedBaseError` if they don't; `StorageError` as the store raises it.
    """
    return parse(store.get(f"{PREFIX}{base}.json"), base, keys, destination)


def parse(body: bytes, base: str, keys: Believes, destination: str) -> Manifest:
    """The manifest of an object's bytes; as `read`."""
    key = f"{PREFIX}{base}.json"
    try:
        said = json.loads(body)
        if said["base"].get("format") not in FORMATS:
            raise _forged(
                key, f"it is of format {said['base'].get('format')!r}, this version knows {FORMATS}"
            )
        manifest = Manifest.from_fields(said["base"])
        signature = None if said["signature"] is None else base64.b64decode(said["signature"], validate=True)
        key_id = said["key"]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise _forged(key, f"it holds no base: {type(error).__name__}") from None
    if manifest.id != base:
        raise _forged(key, f"it holds the {manifest}: it was renamed or altered")
    if manifest.destination != destination:
        raise _forged(key, f"it is of the destination {manifest.destination!r}, it was copied from there")
    doubt = keys.doubt(CONTEXT, manifest.body(), key_id, signature)
    if doubt is not None:
        raise _forged(key, doubt)
    return manifest


def put_floor(store: ObjectStore, base: str) -> None:
    """Say that the destination's history begins with this base; before anything older is removed."""
    body = b"history before this base may be gone: replicator retention\n"
    store.put(f"{PREFIX}{base}{_FLOOR}", body, sha256=hashlib.sha256(body).hexdigest())


def remove(store: ObjectStore, base: str) -> None:
    """Take a base away, its manifest first: what is left of it then is no base any more."""
    store.delete(f"{PREFIX}{base}.json")
    store.delete(f"{PREFIX}{base}{_FLOOR}")


def floor(store: ObjectStore, keys: Believes, destination: str) -> Manifest | None:
    """The base with which the destination's history begins; None where it begins with the snapshot.

    `ForgedBaseError` when it isn't believed, or is gone though older history was removed.
    """
    stored = list_bases(store)
    if not stored.floors:
        return None
    base = stored.floors[-1]
    try:
        return read(store, base, keys, destination)
    except StorageError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        raise _forged(f"{PREFIX}{base}.json", "it is gone, though older history was removed for it") from None


def _forged(key: str, why: str) -> ForgedBaseError:
    return ForgedBaseError(
        f"{key} is not believed: {why}. Restores do without this base; the segments are not affected.",
        next_step="find out who can write there; `replicator compact` makes a new base; if a key was "
        "replaced, keep the old one's public half in control.public_keys",
    )
