"""What letters say is missing comes in, once, and what can't come in is said."""

from __future__ import annotations

import pytest

from replicator.deadletter.letter import Kind, Reason, range_letter
from replicator.errors import KafkaError
from replicator.replay import stored
from replicator.segment import read
from replicator.segment.name import SegmentName
from replicator.segment.pieces import resolve
from replicator.storage import ErrorKind, StorageError
from replicator.storage.memory import MemoryStore
from tests.unit.replay.rig import CHAIN, Rig, wire


def held(store: MemoryStore) -> dict[int, int]:
    """Offset to `n` of every record that a reader of the chain finds."""
    names = [(name, info.size) for info in store.list("v1/changes/") if (name := SegmentName.parse(info.key))]
    found: dict[int, int] = {}
    for piece in resolve(CHAIN, names).pieces:
        body = store.get(piece.name.key())
        read.check(piece.name, body)
        for record in read.records(body):
            if piece.start <= record["offset"] < piece.stop:
                assert record["offset"] not in found
                found[record["offset"]] = record["value"]["n"]
    return found


def everything(rig: Rig) -> dict[int, int]:
    return {offset: value[5] // 2 for offset, value in rig.values.items()}


def test_a_hole_is_read_again_from_kafka_and_the_letter_settled() -> None:
    rig = Rig()
    rig.fill(rig.store, 0, 10)
    rig.fill(rig.store, 20, 30)
    rig.letters.write([range_letter("primary", CHAIN, 10, 20, "403", 0)])
    rig.office().work(rig.letters.box)
    assert held(rig.store) == everything(rig)
    assert [(each.kind, each.reason) for each in rig.letters.written[1:]] == [
        (Kind.SETTLEMENT, Reason.STORED)
    ]
    assert rig.letters.box.unsettled() == []


def test_a_replay_that_died_before_it_settled_writes_no_other_object() -> None:
    rig = Rig()
    letter = range_letter("primary", CHAIN, 0, 30, "403", 0)
    rig.letters.write([letter])
    rig.office().work(rig.letters.box)
    before = {info.key for info in rig.store.list("")}
    again = Rig()
    again.letters.write([letter])
    again.office().work(again.letters.box)
    assert {info.key for info in again.store.list("")} == before, "the same range has the same name"
    rig.letters.box.cases.clear()
    rig.letters.write([letter])
    rig.office().work(rig.letters.box)
    assert {info.key for info in rig.store.list("")} == before
    assert rig.letters.box.unsettled() == []


def test_what_kafka_no_longer_has_is_copied_from_another_destination() -> None:
    rig = Rig()
    rig.kafka.gone = 30
    rig.fill(rig.store, 0, 10)
    rig.fill(rig.other, 0, 15)
    rig.fill(rig.other, 15, 30)
    rig.letters.write([range_letter("primary", CHAIN, 10, 30, "403", 0)])
    rig.office().work(rig.letters.box)
    assert held(rig.store) == everything(rig)
    assert rig.letters.written[-1].reason is Reason.COPIED
    assert "second" in rig.letters.written[-1].detail


def test_what_nobody_has_any_more_is_escalated_once_and_stays_open() -> None:
    rig = Rig()
    rig.kafka.gone = 30
    rig.fill(rig.other, 0, 15)
    rig.letters.write([range_letter("primary", CHAIN, 10, 20, "403", 0)])
    office = rig.office()
    for _ in range(3):
        rig.now += 1000
        office.work(rig.letters.box)
    assert [each.kind for each in rig.letters.written] == [Kind.RANGE, Kind.ESCALATION]
    assert [case.state for case in rig.letters.box.unsettled()] == ["escalated"]
    assert rig.heard.escalated_ids == [[rig.letters.written[0].id]], "told once"
    assert rig.heard.ended == []
    rig.fill(rig.other, 15, 30)
    rig.now += 1000
    office.work(rig.letters.box)
    assert rig.letters.box.unsettled() == [], "an escalated letter is still tried"
    assert rig.heard.ended == ["primary by me"]
    office.work(rig.letters.box)
    assert rig.heard.ended == ["primary by me"]


def test_it_is_told_before_the_record_stands_so_that_a_crash_between_them_loses_nothing() -> None:
    rig = Rig()
    rig.kafka.gone = 30
    rig.letters.write([range_letter("primary", CHAIN, 10, 20, "403", 0)])
    rig.letters.broken = True
    with pytest.raises(KafkaError):
        rig.office().work(rig.letters.box)
    rig.letters.broken = False
    rig.office().work(rig.letters.box)
    [letter, _] = rig.letters.written
    assert rig.heard.escalated_ids == [[letter.id], [letter.id]]


def test_a_record_that_was_left_out_is_filled_in_once_its_schema_can_be_had() -> None:
    rig = Rig({offset: wire(9 if offset in (12, 13, 20) else 7, offset) for offset in range(30)})
    rig.fill(rig.store, 0, 30, without=[12, 13, 20])
    for offset in (12, 13, 20):
        rig.poisoned(offset)
    office = rig.office()
    done = office.work(rig.letters.box)
    assert len(done.stuck) == 3
    assert not any(stuck.hopeless for stuck in done.stuck.values())
    rig.registry.known.add("9")
    done = office.work(rig.letters.box)
    assert (len(done.closed), done.waiting) == (0, 3), "their turn comes later"
    rig.now += 1000
    office.work(rig.letters.box)
    assert held(rig.store) == everything(rig)
    assert stored.lacking(rig.store, CHAIN, 0, 30) == []
    assert len(list(rig.store.list("v1/changes/"))) == 3, "neighbours share a segment"
    assert rig.letters.box.unsettled() == []


def test_of_neighbours_those_that_can_be_stored_are() -> None:
    rig = Rig({offset: wire(9 if offset == 13 else 8, offset) for offset in range(10, 17)})
    rig.fill(rig.store, 10, 17, without=[12, 13, 14])
    for offset in (12, 13, 14):
        rig.poisoned(offset)
    rig.registry.known.add("8")
    office = rig.office()
    office.work(rig.letters.box)
    assert [case.letter.first for case in rig.letters.box.unsettled()] == [13]
    rig.registry.known.add("9")
    rig.now += 1000
    office.work(rig.letters.box)
    assert held(rig.store) == everything(rig)
    assert rig.letters.box.unsettled() == []


def test_what_is_no_wire_format_is_escalated_at_once_with_the_reason() -> None:
    rig = Rig()
    rig.fill(rig.store, 0, 30, without=[4])
    rig.values[4] = b"{}"
    letter = rig.poisoned(4, Reason.NOT_WIRE_FORMAT)
    done = rig.office().work(rig.letters.box)
    assert done.stuck[letter.id].hopeless
    assert rig.letters.written[-1].kind is Kind.ESCALATION
    assert "wire format" in rig.letters.written[-1].detail


def test_a_record_that_another_destination_has_is_cut_out_of_its_segment() -> None:
    rig = Rig()
    rig.fill(rig.store, 0, 30, without=[4])
    rig.fill(rig.other, 0, 30)
    good, rig.values[4] = rig.values[4], b"{}"
    rig.poisoned(4, Reason.TOO_LARGE)
    rig.office().work(rig.letters.box)
    rig.values[4] = good
    assert held(rig.store) == everything(rig)
    assert rig.letters.written[-1].reason is Reason.COPIED
    [inner] = [
        info.key
        for info in rig.store.list("v1/changes/")
        if "00000000000000000004-00000000000000000005" in info.key
    ]
    header = read.open_header(rig.store.get(inner)).header
    assert (header.first_timestamp, header.last_timestamp, header.count) == (1004, 1004, 1)


def test_a_range_that_holds_a_record_nobody_understands_goes_in_with_a_letter_for_that_record() -> None:
    rig = Rig()
    rig.values[5] = b"{}"
    rig.letters.write([range_letter("primary", CHAIN, 0, 30, "403", 0)])
    rig.office().work(rig.letters.box)
    [case] = rig.letters.box.unsettled()
    assert (case.letter.kind, case.letter.first) == (Kind.RECORD, 5)
    assert stored.lacking(rig.store, CHAIN, 0, 30) == [(5, 6)]
    assert stored.holes(rig.store, CHAIN, 0, 30) == []


@pytest.mark.parametrize("what", ["kafka", "store"])
def test_trouble_that_passes_is_waited_for_and_escalated_only_after_its_time(what: str) -> None:
    rig = Rig()
    letter = range_letter("primary", CHAIN, 0, 30, "403", 0)
    rig.letters.write([letter])
    if what == "kafka":
        rig.kafka.silent = True
    else:
        rig.store.fail("put", StorageError("still 403", kind=ErrorKind.AUTH), times=1)
    office = rig.office()
    done = office.work(rig.letters.box)
    assert not done.stuck[letter.id].hopeless
    assert len(rig.letters.written) == 1, "nobody is called for that"
    assert office.work(rig.letters.box).waiting == 1
    rig.kafka.silent = False
    rig.now += 1000
    office.work(rig.letters.box)
    assert held(rig.store) == everything(rig)
    late = Rig()
    late.letters.write([letter])
    late.kafka.silent = True
    late.office(escalate_after_s=0.0).work(late.letters.box)
    assert late.letters.written[-1].kind is Kind.ESCALATION
