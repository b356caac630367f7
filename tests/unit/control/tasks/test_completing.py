"""Who may complete a standby, and which holes keep a restore point back."""

from __future__ import annotations

from replicator.control.events.event import Beginning
from replicator.control.observation.kafka_view import KafkaView
from replicator.control.tasks.completing import sources
from replicator.control.tasks.publishing import hole
from replicator.deadletter.box import Box
from replicator.deadletter.letter import Kind, Letter, Reason
from replicator.points import ChainEnd, RestorePoint
from replicator.segment.name import Chain
from replicator.writer.kafka.commits import Committed

CHAIN = Chain("w.public.guests", "A" * 22, 0)
BEGIN = Beginning(CHAIN.topic, CHAIN.topic_id, 0, 50)


def view(**committed: tuple[int, str]) -> KafkaView:
    return KafkaView(
        0.0,
        None,
        {CHAIN: 100},
        {},
        {
            name: {(CHAIN.topic, 0): Committed(offset, "f", "w", topic_id)}
            for name, (offset, topic_id) in committed.items()
        },
    )


def test_only_a_source_that_has_all_before_the_beginning_completes_a_standby() -> None:
    seen = view(behind=(49, "A" * 22), even=(50, "A" * 22), ahead=(80, "A" * 22), other=(80, "B" * 22))
    assert sources(["behind", "other", "ahead", "even", "silent"], [BEGIN], seen) == ["ahead", "even"]


def test_a_topic_that_begins_at_its_first_record_needs_nothing_from_anybody() -> None:
    assert sources(["silent"], [Beginning(CHAIN.topic, CHAIN.topic_id, 0, 0)], view()) == ["silent"]


def letter(first: int, chain: Chain = CHAIN) -> Letter:
    return Letter("ab" * 16, Kind.RECORD, 1, "second", chain, first, first + 1, Reason.UNKNOWN_SCHEMA, "no")


POINT = RestorePoint("w", "c", "second", 1, 1, 1, 1, 1, 1, (ChainEnd(CHAIN.topic, CHAIN.topic_id, 0, 60),))


def box(*letters: Letter) -> Box:
    made = Box("letters")
    for each in letters:
        made.put(each)
    return made


def test_an_open_letter_below_a_point_keeps_it_back_until_it_is_settled() -> None:
    assert hole(box(), POINT) is None
    assert "offset 59" in (hole(box(letter(59)), POINT) or "")
    settled = letter(59).answered(Kind.SETTLEMENT, Reason.STORED, "", 2, "ann")
    assert hole(box(letter(59), settled), POINT) is None


def test_a_letter_above_the_point_or_about_another_incarnation_does_not() -> None:
    assert hole(box(letter(60)), POINT) is None
    assert hole(box(letter(5, Chain(CHAIN.topic, "B" * 22, 0))), POINT) is None
