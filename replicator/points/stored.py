"""Restore points as objects of a destination: `v1/points/{time of the commit}-{lsn}.json`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import takewhile

from replicator.points.point import FORMAT, PREFIX, RestorePoint, SignedPoint
from replicator.points.signature import ForgedPointError, Keys
from replicator.storage import ObjectStore, PutResult


def encode(signed: SignedPoint) -> bytes:
    """The object's bytes: JSON that people can read."""
    signature = None if signed.signature is None else base64.b64encode(signed.signature).decode()
    fields = {"format": FORMAT, **asdict(signed.point)}
    return json.dumps({"point": fields, "key": signed.key_id, "signature": signature}).encode()


def decode(body: bytes, key: str) -> SignedPoint:
    """The point in an object's bytes; `ForgedPointError` when they hold none, or another than `key` says."""
    try:
        said = json.loads(body)
        if said["point"].get("format") != FORMAT:
            raise ForgedPointError(
                f"{key} is a restore point of format {said['point'].get('format')!r}; this version knows "
                f"{FORMAT}.",
                next_step="use the version of the replicator that wrote it, or a later one",
            )
        point = RestorePoint.from_fields(said["point"])
        signature = said["signature"]
        signed = SignedPoint(
            point, said["key"], None if signature is None else base64.b64decode(signature, validate=True)
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise ForgedPointError(
            f"{key} holds no restore point: it was truncated or altered.",
            next_step="use another point; a restore proves itself without one",
        ) from None
    if point.key() != key:
        raise ForgedPointError(
            f"{key} holds the {point}, whose place is {point.key()}: it was renamed or altered.",
            next_step="use another point; a restore proves itself without one",
        )
    return signed


def publish(store: ObjectStore, signed: SignedPoint) -> PutResult:
    """Put the point into the destination; one that is there already is left alone."""
    body = encode(signed)
    return store.put(signed.point.key(), body, sha256=hashlib.sha256(body).hexdigest())


def names(store: ObjectStore, since: str | None = None) -> Iterator[str]:
    """The keys of the destination's points in the order of their commits; `since` is a key to begin after."""
    for info in store.list(PREFIX, start_after=since):
        if info.key.endswith(".json"):
            yield info.key


def newest_first(store: ObjectStore, now: datetime) -> Iterator[str]:
    """The keys of the destination's points, the newest commit's first.

    A listing goes forward only, and years of points are many: what was committed of late is listed first.
    """
    upto: str | None = None
    for age in (timedelta(hours=2), timedelta(days=2), timedelta(days=60), None):
        since = None if age is None else f"{PREFIX}{now - age:%Y%m%dT%H%M%S}"
        found = list(takewhile(lambda key, upto=upto: upto is None or key <= upto, names(store, since)))  # type: ignore[misc]
        yield from reversed(found)
        upto = since


def read(store: ObjectStore, key: str, keys: Keys, destination: str) -> RestorePoint:
    """The point of `read_signed`."""
    return read_signed(store, key, keys, destination).point


def read_signed(store: ObjectStore, key: str, keys: Keys, destination: str) -> SignedPoint:
    """The point with who signed it, believed: its bytes, its name, its place and its signature agree.

    `ForgedPointError` if they don't; `StorageError` as the store raises it.
    """
    signed = decode(store.get(key), key)
    point = keys.check(signed, f"{destination}/{key}")
    if point.destination != destination:
        raise ForgedPointError(
            f"{key} in {destination} is a restore point of {point.destination}: it was copied from there and "
            "says nothing about this destination.",
            next_step="remove it here; use this destination's own points",
        )
    return signed
