from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from replicator.config import Control
from replicator.errors import ConfigError
from replicator.points import (
    ChainEnd,
    ForgedPointError,
    Keys,
    RestorePoint,
    SignedPoint,
    Signer,
    new_key,
    public_pem,
    stored,
)
from replicator.storage.memory import MemoryStore

KEY = new_key()
POINT = RestorePoint(
    "weddings",
    "cluster",
    "primary",
    0x1_0000_0028,
    771,
    1_763_790_000_123,
    41,
    1_763_790_001_000,
    3,
    (ChainEnd("weddings.public.guests", "A" * 22, 0, 17),),
)
SIGNING = Control(signing_key=SecretStr(KEY))


def put(store: MemoryStore, body: bytes, key: str = POINT.key()) -> None:
    import hashlib

    store.put(key, body, sha256=hashlib.sha256(body).hexdigest())


def test_a_published_point_comes_back_as_it_was() -> None:
    store = MemoryStore()
    stored.publish(store, Signer(SIGNING).sign(POINT))
    [key] = stored.names(store)
    assert stored.read(store, key, Keys(SIGNING), "primary") == POINT


def test_names_sort_by_the_time_of_the_commit() -> None:
    later = replace(POINT, committed_ms=POINT.committed_ms + 1, lsn=1)
    assert POINT.key() < later.key()


def test_whoever_has_only_the_public_key_can_check() -> None:
    checking = Keys(Control(public_keys=[public_pem(KEY)]))
    assert checking.check(Signer(SIGNING).sign(POINT), "a bucket") == POINT


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["point"].update(lsn=1),
        lambda said: said["point"]["ends"][0].update(end=18),
        lambda said: said["point"].update(destination="second"),
        lambda said: said.update(signature=None),
        lambda said: said.update(key="0" * 16),
        lambda said: said.update(signature="AAAA"),
        lambda said: said["point"].pop("ends"),
        lambda said: said["point"].update(format=2),
    ],
)
def test_an_altered_point_is_refused_by_its_name(change: Callable[[dict[str, Any]], object]) -> None:
    store = MemoryStore()
    said = json.loads(stored.encode(Signer(SIGNING).sign(POINT)))
    change(said)
    put(store, json.dumps(said).encode())
    with pytest.raises(ForgedPointError, match=r"v1/points/|restore point 1/28"):
        stored.read(store, POINT.key(), Keys(SIGNING), "primary")


def test_a_point_of_another_destination_says_nothing_about_this_one() -> None:
    store = MemoryStore()
    stored.publish(store, Signer(SIGNING).sign(POINT))
    with pytest.raises(ForgedPointError, match="copied from there"):
        stored.read(store, POINT.key(), Keys(SIGNING), "second")


def test_a_renamed_point_is_refused() -> None:
    store = MemoryStore()
    key = replace(POINT, lsn=99).key()
    put(store, stored.encode(Signer(SIGNING).sign(POINT)), key)
    with pytest.raises(ForgedPointError, match="renamed"):
        stored.read(store, key, Keys(SIGNING), "primary")


def test_another_key_is_not_believed() -> None:
    theirs = Signer(Control(signing_key=SecretStr(new_key()))).sign(POINT)
    with pytest.raises(ForgedPointError, match="unknown key"):
        Keys(SIGNING).check(theirs, "a bucket")


def test_without_a_key_nothing_is_signed_unless_the_configuration_says_so() -> None:
    with pytest.raises(ConfigError, match="signing_key"):
        Signer(Control())
    unsigned = Signer(Control(unsigned=True)).sign(POINT)
    assert unsigned == SignedPoint(POINT, None, None)
    assert Keys(Control(unsigned=True)).check(unsigned, "a bucket") == POINT
    with pytest.raises(ForgedPointError, match="isn't signed"):
        Keys(SIGNING).check(unsigned, "a bucket")


@pytest.mark.parametrize("key", ["", "no key", public_pem(KEY)])
def test_a_key_that_is_none_is_an_error_that_names_the_setting(key: str) -> None:
    with pytest.raises(ConfigError, match="signing_key"):
        Signer(Control(signing_key=SecretStr(key)))
    with pytest.raises(ConfigError, match=r"public_keys\[0\]"):
        Keys(Control(public_keys=[key[1:]]))
