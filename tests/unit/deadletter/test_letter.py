"""Letters survive their encoding, and what isn't a letter that we know is refused by name."""

from __future__ import annotations

import json

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.deadletter.box import Box, select
from replicator.deadletter.letter import (
    FORMAT_HEADER,
    FutureLetterError,
    Kind,
    Letter,
    Reason,
    Record,
    decode,
    encode,
    letter_id,
    range_letter,
    record_letter,
    schema_text,
)
from replicator.errors import ConfigError, IntegrityError
from replicator.segment.name import Chain
from replicator.segment.ranges import Ranges

CHAIN = Chain("weddings.public.guests", "x" * 22, 3)
HEADERS: list[tuple[str, bytes | None]] = [(FORMAT_HEADER, b"1")]
optional = st.none() | st.binary(max_size=30)


def about(offset: int, reason: Reason = Reason.NOT_WIRE_FORMAT) -> Letter:
    record = Record(5, b"k", b"v", (("h", None), ("g", b"1")))
    return record_letter("primary", CHAIN, offset, record, reason, "why", 1_700_000_000_000)


@given(optional, optional, st.lists(st.tuples(st.text(max_size=5), optional), max_size=3))
def test_a_record_letter_gives_back_every_byte_of_the_record(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = Record(77, key, value, tuple(headers))
    letter = record_letter("d", CHAIN, 9, record, Reason.UNKNOWN_SCHEMA, "no schema 4", 12)
    assert decode(encode(letter, 8), HEADERS, "here") == letter


def test_settlements_and_ranges_survive_as_well() -> None:
    letter = range_letter("d", CHAIN, 5, 50, "403 to everything", 12)
    answer = letter.answered(Kind.SETTLEMENT, Reason.COPIED, "from second", 13, "somebody")
    assert decode(encode(letter, 1), HEADERS, "here") == letter
    assert decode(encode(answer, 1), HEADERS, "here") == answer
    assert answer.id == letter.id == letter_id(CHAIN, 5, 50)


def test_the_schema_is_one_that_any_avro_reader_parses() -> None:
    parsed = fastavro.parse_schema(json.loads(schema_text()))
    assert isinstance(parsed, dict)
    assert parsed["name"] == "replicator.deadletter.DeadLetter"


def test_a_letter_of_a_future_format_is_refused_by_its_name_with_what_to_do() -> None:
    with pytest.raises(FutureLetterError, match=r"dlq\[0\] offset 7 .* format 2") as caught:
        decode(b"whatever", [(FORMAT_HEADER, b"2")], "dlq[0] offset 7")
    assert "newer" in str(caught.value)


@pytest.mark.parametrize(("value", "headers"), [(b"", HEADERS), (b"\0\0\0\0\1\5", HEADERS), (b"x", None)])
def test_what_is_no_letter_is_refused_by_its_place(
    value: bytes, headers: list[tuple[str, bytes | None]] | None
) -> None:
    with pytest.raises(IntegrityError, match="the place"):
        decode(value, headers, "the place")


def test_a_letter_written_twice_is_one_case_and_a_settlement_closes_it() -> None:
    box = Box("dlq")
    for each in (about(1), about(1), about(2)):
        box.put(each)
    assert [case.times for case in box.unsettled()] == [2, 1]
    box.put(about(1).answered(Kind.ESCALATION, Reason.UNRESOLVED, "no way", 5, None))
    assert [case.state for case in box.unsettled()] == ["escalated", "open"]
    box.put(about(1).answered(Kind.SETTLEMENT, Reason.DISCARDED, "a test record", 6, "me"))
    assert [case.letter.first for case in box.unsettled()] == [2]
    box.put(about(1))
    assert [case.state for case in box.cases.values()] == ["open", "open"], "it came up anew"


def test_a_letter_is_found_by_the_beginning_of_its_id_if_that_is_its_alone() -> None:
    box = Box("dlq")
    box.put(about(1))
    box.put(about(2))
    assert box.find(about(2).id[:8]).letter == about(2)
    with pytest.raises(ConfigError, match="more than one"):
        box.find("")
    with pytest.raises(ConfigError, match="no letter"):
        box.find("zz")


def test_filters_choose_what_matches_all_of_them() -> None:
    box = Box("dlq")
    for letter in (about(1), about(2, Reason.TOO_LARGE), range_letter("p", CHAIN, 4, 9, "", 1)):
        box.put(letter)
    cases = box.unsettled()
    assert [case.letter.first for case in select(cases, kind="record", reason="too-large")] == [2]
    assert [case.letter.first for case in select(cases, kind="range", topic=CHAIN.topic)] == [4]
    assert select(cases, topic="other") == select(cases, state="settled") == []


def test_what_may_be_missing_is_what_unsettled_letters_are_about() -> None:
    box = Box("dlq")
    for letter in (about(1), about(2), about(7), range_letter("p", CHAIN, 4, 9, "", 1)):
        box.put(letter)
    box.put(about(2).answered(Kind.SETTLEMENT, Reason.DISCARDED, "a test record", 6, "me"))
    assert box.open_ranges() == {CHAIN: Ranges.of([(1, 2), (4, 9)])}
    assert Box("dlq").open_ranges() == {}
