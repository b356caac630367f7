"""Which records are stored and which are not: every record is in exactly one of both, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.deadletter.letter import Reason
from replicator.segment.splice import Columns, Run
from replicator.writer.partition.triage import Unfit, triage
from replicator.writer.schemas.book import Refusal

REFUSED = {"9": Refusal(Reason.UNKNOWN_SCHEMA, "The registry has no schema 9.")}
SMALL = 1000


def wire(schema: int, size: int = 5) -> bytes:
    return b"\0" + schema.to_bytes(4, "big") + b"x" * size


KINDS = {
    "good": (wire(2), wire(1)),
    "other": (wire(2), wire(3)),
    "null": (wire(2), None),
    "json": (wire(2), b"{}"),
    "odd key": (b"\x07", wire(1)),
    "unknown": (wire(2), wire(9)),
    "unknown key": (wire(9), wire(1)),
    "large": (wire(2), wire(1, 2 * SMALL)),
}
FIT = {"good", "other", "null"}


def columns(kinds: list[str], gaps: list[int]) -> Columns:
    offsets, at = [], 100
    for gap in gaps:
        at += gap
        offsets.append(at)
        at += 1
    pairs = [KINDS[kind] for kind in kinds]
    return Columns(
        offsets,
        [1_000 + offset for offset in offsets],
        [key for key, _ in pairs],
        [value for _, value in pairs],
        [None] * len(kinds),
    )


@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 2)), min_size=1, max_size=25))
def test_every_record_is_stored_or_left_out_and_for_its_own_reason(batch: list[tuple[str, int]]) -> None:
    kinds, gaps = [kind for kind, _ in batch], [gap for _, gap in batch]
    given_ = columns(kinds, gaps)
    kind_of = dict(zip(given_.offsets, kinds, strict=True))
    reached, stored, unfit = -1, 0, {}
    for part in triage(given_, REFUSED, SMALL):
        first, last = (
            (part.first_offset, part.last_offset) if isinstance(part, Run) else (part.offset, part.offset)
        )
        assert first > reached
        reached = last
        if isinstance(part, Unfit):
            unfit[part.offset] = part.reason
            assert part.record.timestamp == 1_000 + part.offset
            assert (part.record.key, part.record.value) == KINDS[kind_of[part.offset]]
        else:
            covered = [kind for offset, kind in kind_of.items() if first <= offset <= last]
            assert set(covered) <= FIT
            assert len(covered) == part.count
            stored += part.count
    assert stored + len(unfit) == len(kinds)
    for offset, reason in unfit.items():
        kind = kind_of[offset]
        wanted = (
            Reason.NOT_WIRE_FORMAT
            if kind in ("json", "odd key")
            else Reason.TOO_LARGE
            if kind == "large"
            else Reason.UNKNOWN_SCHEMA
        )
        assert reason is wanted
