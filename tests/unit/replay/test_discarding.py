"""What nobody misses: kept as a record, told to the destination, and never where it is needed for proof."""

from __future__ import annotations

from typing import cast

from replicator.deadletter.letter import Kind, Letter, Reason, Record, range_letter, record_letter
from replicator.deadletter.topic import LetterTopic
from replicator.replay import stored
from replicator.replay.discarding import discard
from replicator.segment import read
from replicator.segment.name import Chain
from tests.unit.replay.rig import CHAIN, Rig


def discarded(rig: Rig, letter: Letter) -> tuple[Letter, bool]:
    return discard(
        letter, "produced by hand", "me", cast(LetterTopic, rig.letters), rig.store, "i", "cluster"
    )


def test_a_discarded_record_is_settled_by_name_and_restores_may_pass_it() -> None:
    rig = Rig()
    rig.fill(rig.store, 0, 30, without=[4])
    letter = rig.poisoned(4, Reason.NOT_WIRE_FORMAT)
    settlement, passed = discarded(rig, letter)
    assert passed
    assert (settlement.kind, settlement.reason, settlement.by) == (Kind.SETTLEMENT, Reason.DISCARDED, "me")
    assert rig.letters.box.cases[letter.id].settlement == settlement
    assert stored.lacking(rig.store, CHAIN, 0, 30) == []
    [piece] = stored.pieces_of(rig.store, CHAIN, 4, 5)
    header = stored.header(rig.store, piece)
    read.check(piece.name, rig.store.get(piece.name.key()))
    assert (header.count, header.discarded[0].reason) == (0, "produced by hand")


def test_a_discarded_hole_is_closed_and_what_is_there_of_it_is_left_alone() -> None:
    rig = Rig()
    rig.fill(rig.store, 0, 10)
    rig.fill(rig.store, 15, 30)
    discarded(rig, range_letter("primary", CHAIN, 5, 20, "403", 0))
    assert stored.lacking(rig.store, CHAIN, 0, 30) == []
    assert [(piece.start, piece.stop) for piece in stored.pieces_of(rig.store, CHAIN, 0, 30)] == [
        (0, 10),
        (10, 15),
        (15, 30),
    ]


def test_what_a_restore_proves_by_is_never_passed_over() -> None:
    rig = Rig()
    chain = Chain("i.transaction", "x" * 22, 0)
    letter = record_letter("primary", chain, 4, Record(0, None, b"?"), Reason.NOT_WIRE_FORMAT, "", 0)
    settlement, passed = discarded(rig, letter)
    assert not passed
    assert settlement.reason is Reason.DISCARDED
    assert list(rig.store.list("v1/changes/")) == []
