"""What a plan refuses because the names of segments show that the rows can't be there."""

from __future__ import annotations

from typing import Any, cast

import pytest

from replicator.debezium import names
from replicator.debezium.snapshots import Snapshot
from replicator.debezium.transactions import Commits
from replicator.errors import ReplicatorError
from replicator.restore.errors import NotYetError, ProofError
from replicator.restore.moment import proof
from replicator.restore.moment.cut import SnapshotPoint
from replicator.restore.moment.edges import Edge
from replicator.restore.moment.history import History
from replicator.restore.plan import Planner
from replicator.restore.schema.schema_plan import SchemaPlan
from replicator.restore.segments.catalog import Catalog, ChainPieces, Piece
from replicator.segment.name import Chain, SegmentName

EMPTY = Catalog({}, ())


def history(scanned: dict[str, int], *events: int) -> History:
    """One commit for each of `events`, with so many in public.t."""
    commits = Commits()
    for number, each in enumerate(events, 1):
        commits.add(f"{number}:{number * 100}", f"{number}:{number * 100 + 50}", 1, 1, {"public.t": each})
    return History(commits, Snapshot(scanned, 1, 1), SnapshotPoint(50, 50), (), ())


def planner(catalog: Catalog = EMPTY) -> Planner:
    # Neither the names nor what END says need a segment to be read.
    return Planner(cast(Any, None), catalog, "w", "store", lambda schema, table: True)


def edge(partition: int, records: int, *, passed: bool) -> Edge:
    name = SegmentName("w.public.t", "A" * 22, partition, 0, records, "0" * 16)
    piece = Piece(name, 10, 0, records)
    chain = ChainPieces(Chain("w.public.t", "A" * 22, partition), (piece,), ())
    return Edge(chain, (piece,), records, passed)


@pytest.mark.parametrize("told", [history({"public.t": 3}), history({"public.t": 0}, 2), history({}, 2)])
def test_a_table_of_which_no_chain_is_stored_is_refused_in_the_words_of_the_restore(told: History) -> None:
    last, scanned = len(told.commits), told.snapshot.scanned.get("public.t")
    with pytest.raises(ReplicatorError) as restored:
        proof.check_snapshot("public.t", scanned, 0, ())
        proof.check_counts("public.t", told.commits, last, {}, (), ())
    with pytest.raises(ReplicatorError) as planned:
        planner()._table(told, last, "public.t")
    assert (type(planned.value), str(planned.value)) == (type(restored.value), str(restored.value))
    assert planned.value.exit_code == restored.value.exit_code


def test_a_table_that_had_no_row_needs_no_chain() -> None:
    told = history({"public.t": 0}, 2)
    assert planner()._table(told, 0, "public.t").pieces == []


def test_a_table_that_was_not_scanned_is_left_out_only_if_no_transaction_has_rows_of_it() -> None:
    told = history({}, 2)
    definition = {"table": "public.t", "partition_of": None}
    row: Any = type(
        "Row", (), {"kind": "dump", "commit": 0, "definition": {"tables": [{"table": "public.t"}]}}
    )
    told = History(told.commits, told.snapshot, told.point, (row,), ())
    made = cast(
        SchemaPlan,
        type("Made", (), {"definitions": {"public.t": definition}, "named": lambda name: [name]}),
    )
    assert planner()._collections(told, made, 0) == ([], ["public.t"])
    assert planner()._collections(told, made, 1) == (["public.t"], [])


def test_fewer_offsets_than_records_are_a_missing_partition() -> None:
    told = history({"public.t": 8}, 4)
    proof.check_possible("public.t", 8, told.commits, 1, (edge(0, 12, passed=True),))
    with pytest.raises(ProofError, match=r"at most 11 records .* say 12"):
        proof.check_possible(
            "public.t", 8, told.commits, 1, (edge(0, 7, passed=True), edge(2, 4, passed=True))
        )
    with pytest.raises(NotYetError, match="at most 11"):
        proof.check_possible(
            "public.t", 8, told.commits, 1, (edge(0, 7, passed=True), edge(2, 4, passed=False))
        )


@pytest.mark.parametrize(
    ("identity", "collection"),
    [
        ("public.t", "public.t"),
        ('public."two words"', "public.two words"),
        ('"My Schema"."q""uote"', 'My Schema.q"uote'),
        ('public."""a.b"""', 'public."a.b"'),
        ('public."dot.ted"', "public.dot.ted"),
    ],
)
def test_a_quoted_name_is_read_as_debezium_writes_it(identity: str, collection: str) -> None:
    assert names.collection(identity) == collection
