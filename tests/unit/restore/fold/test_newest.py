from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.restore.fold.newest import ABSENT, NOT_MINE, CrowdedError, MovedKeyError, Newest

KEYS = st.lists(st.binary(max_size=3), max_size=400)


def laid_out(keys: list[bytes]) -> tuple[Any, Any, Any]:
    lengths = np.array([len(key) for key in keys], np.int32)
    starts = np.cumsum(np.append(0, lengths[:-1])).astype(np.int64) if keys else np.zeros(0, np.int64)
    return np.frombuffer(b"".join(keys) + b"\0", np.uint8).copy(), starts, lengths


def put(newest: Newest, keys: list[bytes], first: int = 0, partition: int = 0) -> None:
    newest.put(*laid_out(keys), np.arange(first, first + len(keys)), partition)


@given(KEYS, KEYS, KEYS)
@settings(deadline=None)
def test_finds_the_largest_offset_of_each_key(
    first: list[bytes], more: list[bytes], asked: list[bytes]
) -> None:
    newest = Newest(2**24)
    put(newest, first)
    put(newest, more, len(first))
    known = {key: offset for offset, key in enumerate(first + more)}
    assert newest.find(*laid_out(asked)).tolist() == [known.get(key, ABSENT) for key in asked]


def test_grows_to_many_keys_and_long_ones() -> None:
    keys = [b"%d" % n * (1 + n % 7) for n in range(20_000)] + [b"x" * 100_000, b"x" * 99_999 + b"y"]
    newest = Newest(2**30)
    put(newest, keys)
    assert newest.find(*laid_out(keys)).tolist() == list(range(len(keys)))
    assert newest.find(*laid_out([b"x" * 99_999])).tolist() == [ABSENT]


@given(KEYS, st.integers(2, 5))
@settings(deadline=None)
def test_each_key_is_of_exactly_one_part(keys: list[bytes], parts: int) -> None:
    known = {key: offset for offset, key in enumerate(keys)}
    found: list[list[int]] = []
    for part in range(parts):
        newest = Newest(2**24, part, parts)
        put(newest, keys)
        found.append(newest.find(*laid_out(keys)).tolist())
    for i, key in enumerate(keys):
        assert sorted(each[i] for each in found) == sorted([NOT_MINE] * (parts - 1) + [known[key]])


def test_a_key_in_two_partitions_is_told() -> None:
    newest = Newest(2**24)
    put(newest, [b"a", b"b"])
    with pytest.raises(MovedKeyError):
        put(newest, [b"c", b"a"], partition=1)


def test_more_keys_than_the_memory_takes_are_told() -> None:
    with pytest.raises(CrowdedError):
        put(Newest(2**17), [b"key %d" % n for n in range(10_000)])
