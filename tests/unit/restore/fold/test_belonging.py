"""Records and counted events of names that no table had, and all those that are nobody's fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.debezium.transactions import Commits
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.fold.belonging import Belonging, check_commits
from replicator.restore.fold.folding import Fold
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import Rows
from replicator.restore.schema.naming import START, Held, Naming, Span
from tests.unit.restore.fold.test_fold import TABLE, History

OIDS, NAMES = range(4), ("public.a", "public.b", "public.c")
STEPS = st.lists(st.tuples(st.sampled_from(OIDS), st.sampled_from([*NAMES, None])), max_size=25)


@given(STEPS)
def test_a_position_is_held_exactly_while_some_table_has_the_name(
    steps: list[tuple[int, str | None]],
) -> None:
    naming = Naming()
    now: dict[int, str] = {}
    had: list[set[str]] = []
    for position, (oid, name) in enumerate(steps):
        if name is None:
            naming.leaves(oid, position)
            now.pop(oid, None)
        else:
            naming.takes(oid, name, position)
            now[oid] = name
        had.append(set(now.values()))
    held = naming.held()
    for after, then in enumerate(had):
        # What lies behind one position and up to the next.
        inside = {
            name
            for name in NAMES
            for since, until in held.of(name)
            if since < after + 1 and (until is None or after + 1 <= until)
        }
        assert inside == then


def test_a_name_that_only_a_dump_tells_may_be_as_old_as_the_table() -> None:
    naming = Naming()
    naming.takes(1, "public.a", 10)
    naming.turns_out(1, "public.b")
    assert naming.held().spans == {"public.b": ((10, None),)}


def history(*events: int) -> History:
    """A snapshot of three rows, and an event of a transaction of its own at each of these LSNs (tens)."""
    made = History([1, 2, 3])
    for place in events:
        while 10 * (len(made.commits) + 1) < place:
            number = len(made.commits) + 1
            made.commits.add(f"{number + 6}:{10 * number}", f"{number + 6}:{10 * number}", 0, 0, {})
        made.change(1, f"at {place}")
    return made


def read(made: History, folder: Path, spans: Sequence[Span] | None) -> int:
    belonging = Belonging(made.commits, {} if spans is None else {"i.public.t": spans})
    folded = Fold(made.frames(folder, 2), ["id"], made.commits, None, belonging=belonging)
    rows = Rows(TABLE, folded, {})
    for _ in text_rows.batches(rows):
        pass
    return rows.counted.rows


@pytest.mark.parametrize("spans", [None, [(START, None)], [(START, 40), (40, 60)], [(5, 70), (START, 5)]])
def test_records_of_tables_that_had_the_name_are_read(tmp_path: Path, spans: Sequence[Span] | None) -> None:
    assert read(history(40, 60), tmp_path, spans) == 3


@pytest.mark.parametrize(
    ("spans", "lsn"),
    [
        ([(START, 39)], "0/28"),  # the name was given up before the first
        ([(START, 20), (50, None)], "0/28"),  # and taken again after it
        ([(START, 59)], "0/3C"),
        ([(39, None)], "0/A"),  # in the snapshot nobody had it
        ([], "0/A"),
    ],
)
def test_a_record_of_nobody_is_refused_with_its_place(
    tmp_path: Path, spans: Sequence[Span], lsn: str
) -> None:
    with pytest.raises(SchemaRefusedError, match=rf"offset \d+ of i\.public\.t, partition .* LSN {lsn},"):
        read(history(40, 60), tmp_path, spans)


def test_the_moment_before_a_stray_record_is_named(tmp_path: Path) -> None:
    made = history(40, 60)
    with pytest.raises(SchemaRefusedError) as caught:
        read(made, tmp_path, [(START, 50)])
    assert "--to-lsn 0/32;" in str(caught.value.next_step), "the commit before the one at 60 ends at 50"


def counted(*commits: tuple[int, int, str]) -> Commits:
    made = Commits()
    for begin, end, collection in commits:
        made.add(f"7:{begin}", f"7:{end}", 0, 0, {collection: 1})
    return made


def check(commits: Commits, held: dict[str, Sequence[Span]], extensions: Sequence[int] = ()) -> None:
    check_commits(Held(held), commits, len(commits), lambda schema, _: schema == "public", extensions)


def test_a_commit_that_only_ran_while_the_name_was_given_up_or_taken_is_no_stray() -> None:
    commits = counted((10, 20, "public.a"), (25, 35, "public.a"), (50, 60, "public.a"))
    check(commits, {"public.a": ((START, 27), (55, None))})


@pytest.mark.parametrize("held", [{}, {"public.a": ((START, 10),)}, {"public.a": ((20, None),)}])
def test_a_commit_that_counts_events_of_no_table_is_refused(held: dict[str, Sequence[Span]]) -> None:
    commits = counted((1, 2, "public.b"), (11, 20, "public.a"))
    with pytest.raises(SchemaRefusedError, match=r"public\.a") as caught:
        check(commits, {"public.b": ((START, None),), **held})
    assert "--to-lsn 0/2;" in str(caught.value.next_step)


def test_what_is_not_captured_or_came_with_an_extension_is_nobodys_stray() -> None:
    check(counted((1, 2, "other.a")), {})
    check(counted((1, 2, "public.spatial")), {}, [1])
    with pytest.raises(SchemaRefusedError, match=r"public\.spatial"):
        check(counted((1, 2, "public.spatial"), (3, 4, "public.spatial")), {}, [1])


def test_events_beyond_the_target_are_not_looked_at() -> None:
    commits = counted((1, 2, "public.a"), (11, 20, "public.b"))
    check_commits(Held({"public.a": ((START, None),)}), commits, 1, lambda *_: True)
