"""Confluent's wire format: what a payload begins with, and what is no such payload."""

from __future__ import annotations

import pytest

from replicator.segment.wire import NotWireFormatError, prefix_for, prefix_of, schema_of_prefix


@pytest.mark.parametrize("schema_id", [0, 17, 2**31 - 1])
def test_an_id_comes_back_from_the_prefix_that_was_made_for_it(schema_id: int) -> None:
    prefix = prefix_for(schema_id)
    assert prefix_of(prefix + b"body") == prefix
    assert schema_of_prefix(prefix) == str(schema_id)


def test_a_guid_is_read_as_one() -> None:
    payload = b"\x01" + bytes(range(16)) + b"body"
    assert schema_of_prefix(prefix_of(payload)) == "guid:00010203-0405-0607-0809-0a0b0c0d0e0f"


@pytest.mark.parametrize(
    ("payload", "why"), [(b"", "empty"), (b"\x02abcd", "0x02"), (b"\x00abc", "4 bytes"), (b"\x01abc", "17")]
)
def test_anything_else_is_said_not_to_be_it(payload: bytes, why: str) -> None:
    with pytest.raises(NotWireFormatError, match=why):
        prefix_of(payload)
