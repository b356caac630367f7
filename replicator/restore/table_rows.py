"""One table's rows at a plan's cut: fetched, folded, and proven once they have passed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from replicator.debezium.pgtypes import PgType
from replicator.restore.fold.belonging import Belonging
from replicator.restore.fold.folding import Fold, Folding
from replicator.restore.fold.row_filter import RowFilter
from replicator.restore.moment import proof
from replicator.restore.plan import Plan, Planner
from replicator.restore.report import TableReport
from replicator.restore.rows.surviving import Counted, Rows
from replicator.restore.rows.table import Table
from replicator.restore.schema.epochs import Past
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.frames import Frame, frames, together

_LARGE = 50_000


class TableRows:
    """What every output of a restore takes its rows from. `plan` is the table's, to the record."""

    def __init__(
        self,
        planner: Planner,
        plan: Plan,
        fetcher: Fetcher,
        table: Table,
        memory: int,
        types: Mapping[str, PgType] | None = None,
    ) -> None:
        """Fetch and fold; keys take at most `memory` bytes, and `types` are those that columns had before, by
        their declaration. Raises as `Fetcher.fetch` and `Fold` do.
        """
        self._begun = time.monotonic()
        self.plan = planner.exact(plan, plan.table(table.collection))
        self._restore = plan
        self._fetcher = fetcher
        self._table = table
        self.types = types or {}
        history = plan.history
        self.fetched = {part.topic: fetcher.fetch(part.pieces_of_its_own) for part in self.plan.parts}
        attempt = history.point.lsn if history.snapshot.attempts > 1 else None
        # Finding where the stream begins costs a few reads; on a small table the fold itself costs less.
        large = self.plan.records >= _LARGE
        starts = planner.stream_starts(history.commits, self.plan) if large else None
        past = plan.schema.pasts.get(table.identity, Past(()))
        epochs = {
            part.topic: [each for each in past.epochs if each.collection == part.collection]
            for part in self.plan.parts
            if past.epochs
        }
        found = [
            frame
            for part in self.plan.parts
            for frame in together(
                frames(
                    self.fetched[part.topic], {edge.chain.chain.partition: edge.stop for edge in part.edges}
                )
            )
        ]
        held = {part.topic: plan.schema.held.of(part.collection) for part in self.plan.parts if past.epochs}
        belonging = Belonging(history.commits, held)
        self.fold = Fold(found, past.key, history.commits, attempt, starts, memory, epochs, belonging)
        self._alone = partial(Fold, key=past.key, commits=history.commits, memory=memory, epochs=epochs)
        self.folding = Folding(past.key, attempt, starts or {}, epochs, held)

    @property
    def any(self) -> bool:
        """Whether there are records at all."""
        return bool(self.fold.frames)

    def fold_of(self, found: Sequence[Frame]) -> Fold:
        """The fold of what a base has of this table, alone."""
        return self._alone(found, snapshot_lsn=None)

    @property
    def only(self) -> RowFilter | None:
        """Which rows are wanted; None for all."""
        return self._restore.chosen.only(self._table.collection)

    @property
    def added(self) -> dict[tuple[str, str], str | None]:
        """The table's columns that came after rows were there, and what those rows have in them."""
        known = self._restore.schema.added
        return {name: value for name, value in known.items() if name[0] == self._table.identity}

    def rows(self) -> Rows:
        """A pass over the records."""
        return Rows(self._table, self.fold, self.added, self.only, self.types)

    def prove(self, counted: Counted) -> None:
        """Compare what one whole pass counted with what Debezium said; `ProofError` or `NotYetError`."""
        history, last = self._restore.history, self._restore.cut.number
        for part in self.plan.parts:
            proof.check_base(part.collection, part.base_records, counted.of_base.get(part.topic, 0))
            scanned = history.snapshot.scanned.get(part.collection)
            snapshot_rows = counted.snapshot_rows.get(part.topic, 0)
            proof.check_snapshot(part.collection, scanned, snapshot_rows, part.edges)
            events, fetched = counted.events.get(part.topic, {}), self.fetched[part.topic]
            proof.check_counts(part.collection, history.commits, last, events, part.edges, fetched)

    def report(self, counted: Counted) -> TableReport:
        """What is told of the table once its rows are where they should be."""
        return TableReport(
            self._table.collection,
            counted.rows,
            sum(counted.snapshot_rows.values()),
            sum(sum(events.values()) for events in counted.events.values()),
            sum(map(len, self.fetched.values())),
            self.plan.size,
            round(time.monotonic() - self._begun, 3),
        )

    def remove(self, topics: Collection[str] | None = None) -> None:
        """Give the disk space of these topics back, all by default."""
        for topic, fetched in self.fetched.items():
            if topics is None or topic in topics:
                self._fetcher.remove(fetched)
