"""Every type without the converter for exact values, and with it from the middle of the history on.

A table is restored as it was, or refused by its column, or its column is named as not proven; nothing differs
in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from replicator import config
from replicator.compare import Digests, capture_within, compare, hold, session
from replicator.errors import RefusedError
from replicator.restore import opening, service
from replicator.restore.export.reading import Moment
from replicator.restore.moment import cut
from replicator.restore.selection import Selection
from tests.faults.capture import Capture, captured
from tests.stack.test_restore import target as target
from tests.stack.typed_tables import fill_typed, known_values, make_typed, typed_tables


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of each type at one point, by its declaration."""

    equal: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    """Differs from the source, and its column is among the report's `unproven`."""
    silent: set[str] = field(default_factory=set)
    """Differs, and nobody says so."""


class Story:
    """The captured history and the source as it was at each point."""

    def __init__(self, made: Capture, store: Path, types: dict[str, str]) -> None:
        self.capture = made
        self.store = store
        self.types = types
        """The type of each table's two columns, by `schema.table`."""
        self.points: dict[str, tuple[str, Digests]] = {}

    def hold(self, name: str) -> None:
        with hold(self.capture.dsn) as point:
            self.points[name] = (point.lsn, capture_within(point.connection))

    def judged(self, name: str, target: str) -> Judged:
        at, source = self.points[name]
        to, settings, verdict = cut.parse(None, at, None, False), self.settings(), Judged()
        left = {}
        with opening.opened(settings, "store", opening.Limits(), to) as opened:
            moment = Moment(opened, opening.planned_for(opened, to), 2**26)
            for table, declared in self.types.items():
                try:
                    for _ in moment.batches(table, as_text=("a0", "b0")):
                        pass
                    left[table] = declared
                except RefusedError as error:
                    assert f"{table}." in error.message
                    verdict.refused.add(declared)
        while True:
            try:
                some = Selection(tables=tuple(left))
                report = service.run(settings, "store", to, target, force_clean=True, selection=some)
                break
            except RefusedError as error:
                # A value that PostgreSQL itself doesn't read: infinity in an array is a year of nine digits.
                refused = next(each for each in left if f"{each}:" in error.message)
                verdict.refused.add(left.pop(refused))
        with session.connect(target, "target") as restored:
            session.begin(restored, None)
            found = compare(source, capture_within(restored))
        different = {table.name for table in found.different_tables}
        unproven = {each["table"] for each in report.unproven}
        for table, declared in left.items():
            if table not in different:
                verdict.equal.add(declared)
            elif table in unproven:
                verdict.told.add(declared)
            else:
                verdict.silent.add(declared)
        return verdict

    def settings(self) -> config.Config:
        path = self.capture.write_config(
            "sink",
            destinations={"store": {"type": "file", "path": str(self.store)}},
            sink={"max_age_s": 0.5, "metrics_port": 0},
        )
        return config.load(path)


def run(made: Capture, statements: Iterator[str]) -> None:
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def story(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A table of each type; rows of the snapshot, streamed ones, and streamed ones with the converter."""
    if not stack.converter.exact_values:
        pytest.skip("this stack's Debezium has no converter for exact values")
    folder = tmp_path_factory.mktemp("switched")
    (folder / "store").mkdir()
    types, values = known_values(stack.postgres.dsn)
    # Arrays that Debezium doesn't know are NULL without the converter, and where that mustn't be, it stops.
    before = [types, *make_typed(values, 1, required=""), *fill_typed(values, 100, 1)]
    with captured(stack, folder / "capture", more=";\n".join(before)) as made:
        tables = {f"public.{name}": declared for name, [declared] in typed_tables(values, 1)}
        told = Story(made, folder / "store", tables)
        run(made, fill_typed(values, 200, 1))
        told.hold("without")
        made.settle()
        made.also(exact_values=True)
        made.replicator(made.write_config("source"), "connect", "apply", "--yes", "--deadline", "120")
        run(made, fill_typed(values, 300, 1))
        told.hold("switched")
        made.settle()
        told.settings()
        made.replicator(made.directory / "sink.yaml", "sink", "store", "--once", "--accept-unproven-values")
        yield told


@pytest.mark.parametrize("name", ["without", "switched"])
def test_no_type_differs_from_the_source_in_silence(story: Story, target: str, name: str) -> None:
    verdict = story.judged(name, target)
    assert verdict.silent == set()
    # What is plain in every converter isn't refused to be on the safe side.
    assert {
        "integer",
        "bigint",
        "text",
        "uuid",
        "boolean",
        "bytea",
        "jsonb",
        "timestamptz",
    } & verdict.refused == set()
    assert {"time with time zone", "bit varying"} <= verdict.refused
    assert len(verdict.equal) > len(verdict.refused)
