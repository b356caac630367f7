from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from io import BytesIO

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.errors import IntegrityError
from replicator.segment import container, read
from replicator.segment.name import Chain
from replicator.segment.splice import splice
from tests.unit.segment.records import KEY_SCHEMA, VALUE_SCHEMA, columns

HEADER = container.Header(
    cluster_id="cluster",
    chain=Chain("shop.public.guests", "A" * 22, 2),
    first=9000,
    next=9105,
    count=100,
    value_schema=("7", VALUE_SCHEMA),
    key_schemas=(("3", KEY_SCHEMA),),
    first_timestamp=1_760_000_000_000,
    last_timestamp=1_760_000_000_033,
    left_out=(container.LeftOut(9100, 9101, "residency"),),
)


def built(header: container.Header = HEADER) -> container.Segment:
    [run], _ = splice(columns(range(9000, 9100)))
    return container.build(header, [(run.count, container.compress(run.encoded))])


def test_any_avro_reader_opens_it_and_finds_the_metadata() -> None:
    segment = built()
    reader = fastavro.reader(BytesIO(segment.body))
    assert len(list(reader)) == 100
    metadata = reader.metadata
    assert metadata["avro.codec"] == "zstandard"
    assert metadata["replicator.format"] == "1"
    assert metadata["replicator.topic_id"] == "A" * 22
    assert (metadata["replicator.first"], metadata["replicator.next"]) == ("9000", "9105")
    assert metadata["replicator.value_schema_id"] == "7"
    assert json.loads(metadata["replicator.key_schemas"]) == [{"id": "3", "schema": KEY_SCHEMA}]
    assert json.loads(metadata["replicator.left_out"]) == [
        {"first": 9100, "next": 9101, "reason": "residency"}
    ]


def test_the_same_records_give_the_same_bytes_and_name() -> None:
    assert built() == built()
    assert built(replace(HEADER, next=9106)).name != built().name


def test_the_name_holds_the_contents_hash() -> None:
    segment = built()
    assert segment.sha256 == hashlib.sha256(segment.body).hexdigest()
    assert segment.name.sha256_16 == segment.sha256[:16]


def test_the_header_comes_back_from_the_first_bytes_alone() -> None:
    segment = built()
    opened = read.open_header(segment.body[:4096])
    assert replace(opened.header, value_schema=None) == replace(HEADER, value_schema=None)
    assert opened.header.value_schema is not None
    assert json.loads(opened.header.value_schema[1]) == json.loads(VALUE_SCHEMA)


def test_a_segment_of_transaction_markers_alone_is_empty_and_valid() -> None:
    header = container.Header("c", HEADER.chain, 5, 9, 0, None)
    segment = container.build(header, [])
    assert read.check(segment.name, segment.body) == header
    assert list(read.records(segment.body)) == []


def test_a_truncated_header_says_so() -> None:
    body = built().body
    for length in (0, 3, 4, 5, 100, 500):
        with pytest.raises(read.TruncatedError, match="ends inside its header"):
            read.open_header(body[:length], "x.avro")


def test_a_file_that_is_no_segment_is_refused() -> None:
    with pytest.raises(IntegrityError, match="no Avro file"):
        read.open_header(b"PAR1....", "x.avro")
    out = BytesIO()
    fastavro.writer(out, {"type": "record", "name": "R", "fields": []}, [{}])
    with pytest.raises(IntegrityError, match="format 1"):
        read.open_header(out.getvalue(), "x.avro")


@pytest.mark.parametrize("change", ["truncated", "altered", "renamed range"])
def test_a_damaged_segment_is_found_out(change: str) -> None:
    segment = built()
    name, body = segment.name, segment.body
    if change == "truncated":
        body = body[:-1]
    elif change == "altered":
        body = body[:-40] + bytes([body[-40] ^ 1]) + body[-39:]
    else:
        name = replace(name, next=name.next + 1)
    with pytest.raises(IntegrityError):
        read.check(name, body)


def test_a_count_that_is_wrong_is_found_out() -> None:
    segment = built(replace(HEADER, count=99))
    with pytest.raises(IntegrityError, match="100 records"):
        read.check(segment.name, segment.body)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_header_that_was_altered_anywhere_is_read_or_refused_and_never_hangs(data: st.DataObject) -> None:
    body = bytearray(built().body)
    at = data.draw(st.integers(4, len(body) - 20))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(min_size=1, max_size=12))
    with suppress(IntegrityError):
        read.open_header(bytes(body), "x.avro")


@pytest.mark.parametrize(
    "start", [b"\x02\x01", b"\x80" * 100_000, b"\xff" * 11, b"\x02\x04\xff\xfe\x02a", b"\x01\x02"]
)
def test_lengths_that_can_not_be_are_damage_and_not_followed(start: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"x\.avro"):
        read.open_header(container.MAGIC + start + bytes(range(200)), "x.avro")


@pytest.mark.parametrize("timestamp", [-1, -(2**62), 2**62])
def test_a_timestamp_beyond_the_calendar_is_data_and_not_damage(timestamp: int) -> None:
    [run], _ = splice(columns(range(9000, 9002), timestamps=[timestamp] * 2))
    header = replace(HEADER, count=2, next=9002, first_timestamp=timestamp, last_timestamp=timestamp)
    segment = container.build(header, [(run.count, container.compress(run.encoded))])
    assert read.check(segment.name, segment.body).first_timestamp == timestamp
