from __future__ import annotations

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.segment.name import Chain, SegmentName, url_safe_topic_id

NAME = SegmentName("shop.public.guests", "V3wkrVbBRG-a-lTDsmSv_w", 12, 1000, 2000, "0123456789abcdef")


def test_a_key_is_what_the_format_says() -> None:
    assert NAME.key() == (
        "v1/changes/shop.public.guests/V3wkrVbBRG-a-lTDsmSv_w/00012/"
        "00000000000000001000-00000000000000002000.0123456789abcdef.avro"
    )


@given(st.integers(0, 2**63 - 2), st.integers(0, 200_000))
def test_a_key_gives_its_name_back(first: int, partition: int) -> None:
    name = SegmentName("a.b-c_d", "x" * 22, partition, first, first + 1, "f" * 16)
    assert SegmentName.parse(name.key()) == name


@given(st.lists(st.integers(0, 2**63 - 2), min_size=2, unique=True))
def test_keys_of_a_chain_sort_as_their_offsets(firsts: list[int]) -> None:
    names = [SegmentName("t", "x" * 22, 0, first, first + 1, "f" * 16) for first in firsts]
    assert sorted(name.key() for name in names) == [name.key() for name in sorted(names)]


@pytest.mark.parametrize(
    "key",
    [
        "v1/installation.json",
        NAME.key() + ".tmp",
        NAME.key().replace("v1", "v2"),
        NAME.key().replace("0123456789abcdef", "0123456789ABCDEF"),
        NAME.key().replace("0000000000000000", ""),
    ],
)
def test_other_objects_are_no_segments(key: str) -> None:
    assert SegmentName.parse(key) is None


@given(st.uuids())
def test_a_topic_id_becomes_fit_for_a_key_and_keeps_its_bits(topic_id: uuid.UUID) -> None:
    printed = base64.b64encode(topic_id.bytes).decode()
    safe = url_safe_topic_id(printed.rstrip("="))
    assert safe == url_safe_topic_id(printed) == url_safe_topic_id(safe)
    assert base64.urlsafe_b64decode(safe + "==") == topic_id.bytes
    assert SegmentName.parse(SegmentName("t", safe, 0, 0, 1, "0" * 16).key()) is not None


def test_a_chain_is_told_by_topic_and_partition() -> None:
    assert str(Chain("t", "x" * 22, 3)) == "t[3]"
