"""What the compiled loops make of records is what the slow way makes of them, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.fetch import kernel
from replicator.segment.splice import Columns, splice
from tests.unit.fetch.messages import Memory, Message, of
from tests.unit.segment.records import columns, key, prefix, value

GUID = b"\x01" + bytes(range(16))
payloads = st.one_of(
    st.none(),
    st.binary(max_size=8),
    st.binary(max_size=300).map(lambda body: prefix(7) + body),
    st.binary(max_size=300).map(lambda body: prefix(8) + body),
    st.binary(max_size=30).map(lambda body: GUID + body),
)


def surveyed(given_: Columns) -> Memory:
    """Their memory, to be held as long as anything of it is used."""
    memory = Memory(of(given_))
    memory.survey()
    return memory


@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=40),
    first=st.one_of(st.integers(0, 20_000), st.integers(0, 2**62)),
    keyed=st.booleans(),
    names=st.lists(st.text(max_size=30), min_size=1, max_size=5),
    times=st.integers(-(2**62), 2**62),
)
def test_records_of_one_kind_are_one_run_with_the_bytes_of_the_slow_way(
    gaps: list[int], first: int, keyed: bool, names: list[str], times: int
) -> None:
    offsets = [first + sum(gaps[:i]) for i in range(len(gaps))]
    given_ = columns(
        offsets,
        values=[value(i, names[i % len(names)]) for i in offsets],
        keys=[key(i) for i in offsets] if keyed else [None] * len(offsets),
        timestamps=[times - gap for gap in gaps],
    )
    memory = surveyed(given_)
    run = memory.stretch().run()
    assert run is not None
    assert ([run], None) == splice(given_)


@given(st.lists(st.tuples(payloads, payloads), min_size=1, max_size=8))
def test_records_of_any_kind_become_what_the_slow_way_makes_of_them_or_are_left_to_it(
    records: list[tuple[bytes | None, bytes | None]],
) -> None:
    given_ = columns(
        range(9000, 9000 + len(records)),
        keys=[each for each, _ in records],
        values=[each for _, each in records],
    )
    memory = surveyed(given_)
    run = memory.stretch().run()
    if run is not None:
        assert ([run], None) == splice(given_)


@pytest.mark.parametrize(
    "spoilt",
    [
        columns(range(3), values=[value(0), value(1, schema_id=8), value(2)]),
        columns(range(3), values=[value(0), None, value(2)]),
        columns(range(3), values=[value(0), b"\0\0\0", value(2)]),
        columns(range(3), keys=[key(0), None, key(2)]),
        columns(range(3), keys=[key(0), key(1, schema_id=4), key(2)]),
        columns(range(3), keys=[key(0), b"", key(2)]),
        columns(range(3), values=[b"{}", b"{}", b"{}"]),
    ],
)
def test_what_differs_is_left_to_the_slow_way(spoilt: Columns) -> None:
    memory = surveyed(spoilt)
    assert memory.stretch().run() is None


def test_records_with_headers_are_left_to_the_slow_way() -> None:
    memory = Memory(of(columns(range(3))), headers=True)
    memory.survey()
    assert memory.stretch().run() is None


def test_large_records_fit_into_the_buffer() -> None:
    given_ = columns(range(3), values=[prefix(7) + b"x" * 2_000_000 for _ in range(3)])
    memory = surveyed(given_)
    run = memory.stretch().run()
    assert ([run], None) == splice(given_)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(0, 200))
def test_the_columns_of_a_stretch_and_its_parts_are_the_records(gaps: list[int], offset: int) -> None:
    offsets = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    given_ = columns(offsets, keys=[key(i) if i % 3 else None for i in offsets])
    memory = surveyed(given_)
    whole = memory.stretch()
    assert whole.columns() == given_
    assert (whole.count, whole.first, whole.last) == (len(offsets), offsets[0], offsets[-1])
    for part, wanted in zip(whole.split(offset), given_.split(offset), strict=True):
        assert part.columns() == wanted


def test_a_stretch_is_of_one_partition_and_errors_stand_alone() -> None:
    end = Message(err=-191, rkt=1, partition=0, offset=3)
    memory = Memory(
        [
            *of(columns(range(3))),
            end,
            end,
            *of(columns(range(3, 5))),
            *of(columns(range(2)), partition=1),
            *of(columns(range(1)), topic=2, partition=1),
        ]
    )
    assert memory.survey() == [0, 3, 4, 5, 7, 9]
    assert memory.rows[3, kernel.ERROR] == -191
    assert memory.rows[3, kernel.OFFSET] == 3


def test_every_message_is_given_back() -> None:
    memory = Memory(of(columns(range(5))))
    memory.destroy()
    assert memory.given_back == [0, 1, 2, 3, 4]
