from __future__ import annotations

import pytest

from replicator.debezium import transactions
from replicator.debezium.transactions import Commits
from replicator.errors import ConfigError, IntegrityError, RefusedError
from replicator.restore.errors import NotYetError, ProofError
from replicator.restore.moment import cut, proof
from replicator.restore.moment.cut import SnapshotPoint, ToLsn, ToTime, ToXid

POINT = SnapshotPoint(lsn=1000, micros=1_000_000)


def commits(*ended: tuple[int, int, int, int]) -> Commits:
    """(xid, begin, end, milliseconds) each, with one event in public.t."""
    found = Commits()
    for xid, begin, end, ms in ended:
        found.add(f"{xid}:{begin}", f"{xid}:{end}", ms, ms + 5, {"public.t": 1})
    return found


THREE = commits((7, 1100, 1200, 2000), (9, 1050, 1300, 1990), (8, 1250, 1400, 3000))


def never(number: int) -> int:
    raise AssertionError(f"commit {number} needs no closer look")


@pytest.mark.parametrize(
    ("lsn", "number"), [(1000, 0), (1199, 0), (1200, 1), (1201, 1), (1300, 2), (1399, 2)]
)
def test_an_lsn_includes_what_ends_at_or_before_it(lsn: int, number: int) -> None:
    assert cut.find(ToLsn(lsn), THREE, POINT, never) == number


@pytest.mark.parametrize("target", [ToLsn(1400), ToTime(3_000_999)])
def test_a_target_without_a_later_commit_is_not_proven(target: cut.Target) -> None:
    with pytest.raises(NotYetError):
        cut.find(target, THREE, POINT, lambda _: 3_000_500)


@pytest.mark.parametrize("target", [ToLsn(999), ToTime(999_999)])
def test_before_the_snapshot_the_first_possible_moment_is_named(target: cut.Target) -> None:
    with pytest.raises(RefusedError) as caught:
        cut.find(target, THREE, POINT, never)
    assert "--to-lsn 0/3E8" in str(caught.value.next_step)


def test_time_stops_before_the_first_later_commit_even_if_an_earlier_time_follows() -> None:
    """PostgreSQL's rule: commit times aren't in commit order."""
    assert cut.find(ToTime(1_995_000), THREE, POINT, never) == 0
    assert cut.find(ToTime(2_500_000), THREE, POINT, never) == 2


def test_inside_the_targets_millisecond_the_exact_time_is_asked() -> None:
    assert cut.find(ToTime(2_000_400), THREE, POINT, lambda _: 2_000_400) == 2
    assert cut.find(ToTime(2_000_400), THREE, POINT, lambda _: 2_000_401) == 0


def test_a_transaction_is_included_and_an_unknown_one_refused() -> None:
    assert cut.find(ToXid(9), THREE, POINT, never) == 2
    with pytest.raises(RefusedError, match="not in the transaction topic"):
        cut.find(ToXid(10), THREE, POINT, never)


def test_a_time_needs_its_zone_and_exactly_one_target_is_named() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        cut.parse("2026-11-22T18:30", None, None, False)
    with pytest.raises(ConfigError, match="one target"):
        cut.parse(None, "0/1", 5, False)
    with pytest.raises(ConfigError, match="LSN"):
        cut.parse(None, "nonsense", None, False)
    assert cut.parse("1970-01-01T01:00:00.000001+01:00", None, None, False) == ToTime(1)


def test_an_event_belongs_to_the_commit_whose_lsns_hold_its_own() -> None:
    """xids come round again."""
    found = commits((5, 1100, 1200, 2000), (6, 1210, 1300, 2000), (5, 1400, 1500, 2000))
    assert found.number(5, 1150) == 1
    assert found.number(5, 1450) == 3
    assert found.number(5, 1250) is None
    assert found.number(4, 1150) is None
    assert found.expected("public.t", 2) == {5: 1, 6: 1}
    assert found.expected("public.t", 3) == {5: 2, 6: 1}


def row(status: str, ident: str, offset: int, counts: dict[str, int] | None = None) -> dict[str, object]:
    return {
        "status": status,
        "id": ident,
        "offset": offset,
        "timestamp_ms": 1,
        "ts_ms": 1,
        "event_count": None if counts is None else sum(counts.values()),
        "data_collections": None
        if counts is None
        else [{"data_collection": name, "event_count": count} for name, count in counts.items()],
    }


def test_begin_and_end_pair_and_a_begin_at_the_end_is_on_its_way() -> None:
    found = transactions.read(
        [
            row("BEGIN", "5:10", 0),
            row("END", "5:30", 1, {"public.a": 2, "public.b": 1}),
            row("BEGIN", "6:40", 2),
            row("BEGIN", "6:40", 3),
            row("END", "6:50", 4, {}),
            row("BEGIN", "7:60", 5),
        ]
    )
    assert len(found) == 2
    assert found[1].begin == 10
    assert found.counts_of(1) == {"public.a": 2, "public.b": 1}


@pytest.mark.parametrize(
    "rows",
    [
        [row("BEGIN", "5:10", 0), row("BEGIN", "6:10", 1)],
        [row("END", "5:10", 0, {})],
        [row("BEGIN", "5:10", 0), row("END", "6:20", 1, {})],
        [row("BEGIN", "5:10", 0), {**row("END", "5:20", 1, {"public.a": 2}), "event_count": 3}],
        [row("ROLLBACK", "5:10", 0)],
    ],
)
def test_a_transaction_topic_that_contradicts_itself_is_damage(rows: list[dict[str, object]]) -> None:
    with pytest.raises(IntegrityError):
        transactions.read(rows)


def test_counts_must_agree_for_every_transaction() -> None:
    proof.check_counts("public.t", THREE, 3, {7: 1, 8: 1, 9: 1}, (), ())
    with pytest.raises(ProofError, match="2 events of transaction 9"):
        proof.check_counts("public.t", THREE, 3, {7: 1, 8: 1, 9: 2}, (), ())
    with pytest.raises(ProofError, match="transaction 8"):
        proof.check_counts("public.t", THREE, 2, {7: 1, 8: 1, 9: 1}, (), ())
    with pytest.raises(NotYetError, match="0 of the 1 events of transaction 9"):
        proof.check_counts("public.t", THREE, 3, {7: 1, 8: 1}, (), ())


def test_the_latest_complete_commit_is_before_the_first_deficit() -> None:
    assert proof.first_deficit(THREE, 1, 3, {"public.t": {7: 1, 8: 1, 9: 1}}) is None
    assert proof.first_deficit(THREE, 1, 3, {"public.t": {7: 1, 9: 1}}) == 3
    assert proof.first_deficit(THREE, 2, 3, {"public.t": {8: 1}}) == 2
