"""What a restore would do, as an object that people read: the cut, the schema, the tables, what would be
read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from replicator.bases import Manifest
from replicator.debezium import names
from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import SNAPSHOT, Commits
from replicator.errors import RefusedError
from replicator.restore.errors import HoleError, NotYetError, SchemaRefusedError
from replicator.restore.fold import belonging
from replicator.restore.moment import cut, marked, nearest, proof
from replicator.restore.moment.cut import Cut, Latest, Target, ToMark
from replicator.restore.moment.edges import Edge, Edges
from replicator.restore.moment.events import OUR_LOGS, Events
from replicator.restore.moment.history import History, Topics
from replicator.restore.moment.promise import Promises
from replicator.restore.schema import schema_plan
from replicator.restore.schema.schema_plan import SchemaPlan
from replicator.restore.segments.catalog import Catalog, Hole, Piece
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.sources import Share
from replicator.restore.selection import EVERYTHING, Chosen, Selection, choose


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What a table's rows would be made of. `records` is an upper bound: offsets, not records, are known."""

    collection: str
    topic: str
    edges: tuple[Edge, ...]
    base: tuple[Piece, ...] = ()
    """The segments of the base that the restore begins with."""
    base_records: int = 0
    former: tuple[TablePlan, ...] = ()
    """The same under the names that the table had before."""

    @property
    def pieces(self) -> list[Piece]:
        """All pieces to read."""
        return [piece for part in self.parts for piece in part.pieces_of_its_own]

    @property
    def pieces_of_its_own(self) -> list[Piece]:
        """Those of this name's topic alone."""
        return [*self.base, *(piece for edge in self.edges for piece in edge.pieces)]

    @property
    def parts(self) -> tuple[TablePlan, ...]:
        """One for each name that the table ever had, this one first."""
        return (self, *self.former)

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(piece.size for piece in self.pieces)

    @property
    def records(self) -> int:
        """At most so many records."""
        return sum(
            part.base_records + sum(piece.stop - piece.start for edge in part.edges for piece in edge.pieces)
            for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore that is possible as far as names, small topics and first records can tell."""

    installation: str
    destination: str
    target: str
    cut: Cut
    history: History
    schema: SchemaPlan
    tables: tuple[TablePlan, ...]
    not_captured: tuple[str, ...]
    unknown_objects: int
    sources: Mapping[str, Share] = field(default_factory=dict)
    """What would come from where, if nothing fails."""
    replaced: tuple[str, ...] = ()
    """What was found damaged or gone while this was planned, and what stands in."""
    promises: Promises = field(default_factory=Promises)
    """What restore points say of it."""
    base: Manifest | None = None
    """What the restore begins with; None where it begins with the initial snapshot."""
    chosen: Chosen = field(default_factory=Chosen)
    """What of the database it is about."""

    @property
    def pieces(self) -> list[Piece]:
        """All pieces of tables to read."""
        return [piece for table in self.tables for piece in table.pieces]

    def table(self, collection: str) -> TablePlan:
        """The plan of one table; one without records when nothing of it is stored."""
        for each in self.tables:
            if each.collection == collection:
                return each
        return TablePlan(collection, names.topic(self.installation, *collection.split(".", 1)), ())

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "installation": self.installation,
            "destination": self.destination,
            "target": self.target,
            "cut": self.cut.as_json(),
            "snapshot_lsn": lsn_text(self.history.point.lsn),
            "transactions": self.cut.number,
            "transactions_stored": len(self.history.commits),
            "base": None if self.base is None else self.base.id,
            "schema_dump": self.schema.dump_id,
            "ddl_replayed": [command.statement for command in self.schema.commands],
            "segments": sum(len(table.pieces) for table in self.tables),
            "bytes": sum(table.size for table in self.tables),
            "tables": [
                {
                    "table": table.collection,
                    "segments": len(table.pieces),
                    "bytes": table.size,
                    "records_at_most": table.records,
                    "snapshot_rows": self.history.snapshot.scanned.get(table.collection, 0),
                }
                for table in self.tables
            ],
            "not_captured": list(self.not_captured),
            "unknown_objects": self.unknown_objects,
            "sources": {name: share.as_json() for name, share in self.sources.items()},
            "replaced": list(self.replaced),
            "selection": self.chosen.as_json(),
            **self.promises.as_json(self.cut),
        }


class Planner:
    """Makes plans; reads only the listing, the small topics, and beginnings of segments."""

    def __init__(
        self,
        fetcher: Fetcher,
        catalog: Catalog,
        installation: str,
        destination: str,
        is_captured: Callable[[str, str], bool],
        base: Manifest | None = None,
    ) -> None:
        self.base = base
        self._fetcher = fetcher
        self._catalog = catalog
        self.installation = installation
        self._destination = destination
        self._is_captured = is_captured
        self._events: Events | None = None

    def plan(self, history: History, target: Target, selection: Selection = EVERYTHING) -> Plan:
        """The plan for a target; `RefusedError` (and its kinds) says why there can be none."""
        commits, point = history.commits, history.point
        events = self._events = Events(
            self._fetcher, self._catalog, self.installation, commits, self._is_captured
        )
        if isinstance(target, ToMark):
            topics = Topics(self._fetcher, self._catalog, self.installation, self.base)
            target = marked.resolve(marked.read(topics, commits, self.base), target)
        last = cut.find(target, commits, point, events.exact_micros)
        if isinstance(target, Latest):
            last = events.complete_until(last)
        _check_logs(history, last)
        try:
            made = self.schema_at(history, last)
        except SchemaRefusedError as error:
            why = partial(self.refusal, history)
            near = nearest.around(history.ddl, last, commits.before, len(commits), why)
            raise nearest.named(error, near, commits, point) from None
        collections, left_out = self._collections(history, made, last)
        chosen = choose(selection, made.definitions, collections)
        collections = [each for each in collections if chosen.has(each)]
        left_out = [each for each in left_out if chosen.everything]
        try:
            with ThreadPoolExecutor(self._fetcher.workers(8), "edges") as pool:
                tables = list(pool.map(lambda each: self._whole(history, made, last, each), collections))
        except (HoleError, NotYetError) as error:
            raise self._with_moment(error, history, last) from None
        return Plan(
            self.installation,
            self._destination,
            str(target),
            cut.describe(last, commits, point),
            history,
            made,
            tuple(tables),
            tuple(left_out),
            len(self._catalog.unknown),
            base=self.base,
            chosen=chosen,
        )

    def schema_at(self, history: History, last: int) -> SchemaPlan:
        """The schema of the cut after commit `last`; `SchemaRefusedError` when it can't be built."""
        commits, point = history.commits, history.point
        made = schema_plan.plan(
            history.ddl,
            last,
            lambda number: commits[number - 1].end if number > 1 else (point.lsn if number == 1 else None),
            self._is_captured,
            lambda name, number: bool(
                history.snapshot.scanned.get(name)
                or (self.base and self.base.had_rows(name, number))
                or commits.total(name, number)
            ),
        )
        extensions = belonging.extensions(history.ddl)
        belonging.check_commits(made.held, commits, last, self._is_captured, extensions)
        return made

    def refusal(self, history: History, last: int) -> SchemaRefusedError | None:
        """Why the schema refuses the cut after commit `last`; None when it doesn't."""
        try:
            self.schema_at(history, last)
        except SchemaRefusedError as error:
            return error
        return None

    def holes(self, history: History) -> tuple[Hole, ...]:
        """The holes in what restores read."""
        return nearest.holes(self._catalog, history, self.installation, self._is_captured)

    def _with_moment(self, error: RefusedError, history: History, last: int) -> RefusedError:
        """The error with the nearest moment in front of all holes, if it is a hole that is in the way."""
        lacking = self.holes(history)
        reached = nearest.reach(self._fetcher, history, self._catalog, lacking)
        if not history.commits.before <= reached < last:
            return error
        words = error.message
        if not isinstance(error, HoleError):
            # What comes after a hole may be nothing of ours; then only the counts tell that it matters.
            words = f"{words} The destination has a hole: {lacking[0]} are in no segment."
        before = nearest.option(reached, history.commits, history.point)
        return HoleError(
            words,
            next_step="restore from another destination, replay the range (it may still be in Kafka), or "
            f"name the nearest possible moment before it: {before}",
        )

    def exact(self, plan: Plan, table: TablePlan) -> TablePlan:
        """The same with edges to the record."""
        edges = Edges(self._fetcher, plan.history.commits, plan.cut.number)
        return replace(
            table,
            edges=tuple(self._exact(edges, edge, plan.cut.number) for edge in table.edges),
            former=tuple(self.exact(plan, part) for part in table.former),
        )

    def log(self, plan: Plan, collection: str) -> TablePlan:
        """The plan of a table of ours, to the record; what is in it isn't restored."""
        return self.exact(plan, self._table(plan.history, plan.cut.number, collection))

    def _exact(self, edges: Edges, edge: Edge, last: int) -> Edge:
        highest = None
        if self._events is not None and edge.pieces:
            highest = self._events.highest(edge.pieces[-1])
        if highest is not None and highest <= last:
            return replace(edge, highest=highest)
        return edges.exact(edge)

    def stream_starts(self, commits: Commits, table: TablePlan) -> dict[tuple[str, int], int]:
        """Per topic and partition: the start of the piece in which the first streamed record may be."""
        starts = {}
        for edge in (edge for part in table.parts for edge in part.edges):
            read = Edges(self._fetcher, commits, SNAPSHOT).plan(edge.chain)
            chain = edge.chain.chain
            starts[chain.place] = read.pieces[-1].start if read.pieces else 0
        return starts

    def _collections(self, history: History, made: SchemaPlan, last: int) -> tuple[list[str], list[str]]:
        """The tables with rows of their own, `schema.table`, and those of which no rows are captured."""
        captured, left_out = [], []
        for definition in made.definitions.values():
            if definition["partition_of"] is not None:
                continue
            collection = names.collection(definition["table"])
            permanent = definition.get("persistence", "p") == "p"
            if permanent and self._is_captured(*collection.split(".", 1)):
                captured.append(collection)
            else:
                left_out.append(collection)
        self._check_topics({name for each in captured for name in made.named(each)})
        scanned = history.snapshot.scanned
        old = {
            names.collection(table["table"])
            for row in history.ddl
            if row.kind == "dump" and row.commit == SNAPSHOT and row.definition
            for table in row.definition["tables"]
        }
        never = [each for each in captured if each in old and each not in scanned]
        never = [
            each
            for each in never
            if not self._catalog.chains.get(names.topic(self.installation, *each.split(".", 1)))
            and not history.commits.total(each, last)
        ]
        return sorted(set(captured) - set(never)), sorted(left_out + never)

    def _check_topics(self, collections: Iterable[str]) -> None:
        """Each table's rows are in a topic of their own, under every name that it had."""
        topics: dict[str, str] = {}
        for collection in sorted(collections):
            topic = names.topic(self.installation, *collection.split(".", 1))
            if topic in topics:
                raise RefusedError(
                    f"The tables {topics[topic]} and {collection} share the topic {topic}: their rows "
                    "can't be told apart.",
                    next_step="rename one of them at the source and take a new snapshot",
                )
            topics[topic] = collection

    def _whole(self, history: History, made: SchemaPlan, last: int, collection: str) -> TablePlan:
        own, *former = (self._table(history, last, name) for name in made.named(collection))
        return replace(own, former=tuple(former))

    def _table(self, history: History, last: int, collection: str) -> TablePlan:
        topic = names.topic(self.installation, *collection.split(".", 1))
        found = Edges(self._fetcher, history.commits, last)
        edges = tuple(found.plan(chain) for chain in self._catalog.topic(topic))
        scanned = history.snapshot.scanned.get(collection)
        proof.check_possible(collection, scanned, history.commits, last, edges)
        held = () if self.base is None else self.base.topic(topic)
        pieces = tuple(piece for chain in held for piece in chain.pieces)
        return TablePlan(collection, topic, edges, pieces, sum(chain.records for chain in held))


def _check_logs(history: History, last: int) -> None:
    """The logs that the schema and the sequences come from are complete up to the cut."""
    ddl, sequences = OUR_LOGS
    for collection, numbers in (
        (ddl, [row.commit for row in history.ddl]),
        (sequences, [row.commit for row in history.sequences]),
    ):
        before = history.commits.before
        found = Counter(history.commits[number].xid for number in numbers if before < number <= last)
        proof.check_counts(collection, history.commits, last, found, (), ())
        scanned = history.snapshot.scanned.get(collection, 0)
        if history.snapshot.attempts == 1 and not history.of_base:
            proof.check_snapshot(collection, scanned, numbers.count(SNAPSHOT), ())
