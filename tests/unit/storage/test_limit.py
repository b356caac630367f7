"""The bound on requests under way."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from replicator.config import S3Destination
from replicator.storage import PutResult, open_store
from replicator.storage.limit import LimitedStore
from replicator.storage.memory import MemoryStore


class Counting(MemoryStore):
    """Holds each put until three are under way, or a deadline says that no third one comes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.most = 0
        self.changed = threading.Condition()

    def put(self, key: str, body: bytes, *, sha256: str, if_absent: bool = True) -> PutResult:
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= 3, timeout=0.2)
        try:
            return super().put(key, body, sha256=sha256, if_absent=if_absent)
        finally:
            with self.changed:
                self.now -= 1


def put(store: LimitedStore | MemoryStore, key: str) -> PutResult:
    return store.put(key, b"x", sha256=hashlib.sha256(b"x").hexdigest())


def test_no_more_than_the_bound_are_under_way() -> None:
    free, bound = Counting(), Counting()
    limited = LimitedStore(bound, 2)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda key: put(free, key), "abcdef"))
        list(pool.map(lambda key: put(limited, key), "abcdef"))
    assert free.most >= 3
    assert bound.most == 2
    assert len(list(limited.list(""))) == 6


def test_a_listing_keeps_no_place_while_its_objects_are_worked_on() -> None:
    store = LimitedStore(MemoryStore(), 1)
    for key in "abc":
        put(store, key)
    assert [store.get(info.key) for info in store.list("")] == [b"x"] * 3


def test_a_destination_s_concurrency_puts_the_bound_inside_of_the_retries(tmp_path: Path) -> None:
    secret = SecretStr("any")
    destination = S3Destination(
        type="s3", bucket="b", concurrency=3, access_key_id=secret, secret_access_key=secret
    )
    assert isinstance(open_store(destination)._store, LimitedStore)
