"""One table's part of a base: folded, counted, copied, read back, and compared with what was folded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from replicator.bases import BaseChain, BaseTable
from replicator.compact import multiset
from replicator.compact.copying import ChainCopy, Put
from replicator.compact.epochs import Epochs
from replicator.compact.read_back import ReadBack
from replicator.compact.streams import Digest, Kept, Place, digests, kept, place
from replicator.debezium.pgtypes import PgType
from replicator.errors import IntegrityError
from replicator.restore.moment.edges import Edge
from replicator.restore.plan import Plan, Planner, TablePlan
from replicator.restore.rows import declared
from replicator.restore.rows.surviving import Rows
from replicator.restore.rows.table import Column, Table
from replicator.restore.schema.epochs import Past
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.frames import frames
from replicator.restore.table_rows import TableRows
from replicator.segment.name import Chain, folded_root


@dataclass(frozen=True, slots=True)
class Folded:
    """What became of one table."""

    table: BaseTable
    chains: tuple[BaseChain, ...]
    by_row: bool
    """Whether each of its records in the base is a row; else every event is kept."""
    read: int
    """Bytes of segments that were read."""


class Folder:
    """Folds the tables of one plan into a base. `memory` is what the keys of one table may take, in bytes.

    `stored` reads back what `put` stored.
    """

    def __init__(
        self, planner: Planner, plan: Plan, fetcher: Fetcher, stored: ReadBack, put: Put, memory: int
    ) -> None:
        self._planner = planner
        self._plan = plan
        self._fetcher = fetcher
        self._stored = stored
        self._put = put
        self._memory = memory
        self._types = declared.types_of(plan.schema)
        known = {
            segment.key: segment.first_commit
            for chain in (plan.base.chains if plan.base is not None else ())
            for segment in chain.segments
        }
        ddl = [row.commit for row in plan.history.ddl if row.kind != "dump"]
        self._epochs = Epochs(plan.history.commits, ddl, plan.cut.number, known)

    def fold(self, table: TablePlan, base: str, identity: str) -> Folded:
        """The table's part of the base of that id: its records under every name that it had, and no others.

        Raises what a restore of the table raises, and `IntegrityError` when what was stored isn't, record for
        record, what the chains come to.
        """
        schema, name = table.collection.split(".", 1)
        plan = self._plan
        past = plan.schema.pasts.get(identity)
        named = Table(schema, name, 0, False, self._columns(identity), identity)
        if all(each.collection != table.collection for each in plan.tables):
            plan = replace(plan, tables=(*plan.tables, table))
        taken = TableRows(self._planner, plan, self._fetcher, named, self._memory, self._former_types(past))
        first = taken.rows()
        _ = taken.fold.survivors  # only then is it known whether the table is folded by key
        left = None
        if past is not None and not past.key and taken.any:
            left = multiset.left(taken.rows(), self._memory)
        holds_rows = taken.fold.keyed or left is not None
        chains = self._copy(taken, kept(first, left), base, holds_rows)
        taken.prove(first.counted)
        wanted = digests(kept(taken.rows(), left), keyed=holds_rows)
        made = self._prove(taken, named, chains, wanted)
        taken.remove()
        counted = first.counted
        return Folded(
            BaseTable(
                table.collection,
                sum(chain.records for chain in made),
                sum(sum(events.values()) for events in counted.events.values()),
                sum(counted.snapshot_rows.values()),
            ),
            made,
            holds_rows,
            table.size,
        )

    def stops(self, table: TablePlan) -> tuple[BaseChain, ...]:
        """Of a table of which nothing is kept: where its chains go on."""
        return tuple(
            BaseChain(chain.topic, chain.topic_id, chain.partition, stop, "", ())
            for chain, stop in ((edge.chain.chain, _stop(edge)) for edge in table.edges)
        )

    def _columns(self, identity: str) -> tuple[Column, ...]:
        """The table's columns whose types the DDL log tells: what Debezium read as others is refused here."""
        definition = self._plan.schema.definitions.get(identity, {"columns": ()})
        return tuple(
            Column(column["name"], found)
            for column in definition["columns"]
            if column.get("generated") is None and (found := self._type(column["type"])) is not None
        )

    def _former_types(self, past: Past | None) -> dict[str, PgType]:
        texts = {text for epoch in (past.epochs if past else ()) for text in epoch.types.values()}
        return {text: found for text in texts if (found := self._type(text)) is not None}

    def _type(self, text: str) -> PgType | None:
        try:
            return self._types.of(text)[0]
        except KeyError:
            return None

    def _copy(self, taken: TableRows, parts: Iterable[Kept], base: str, holds_rows: bool) -> list[BaseChain]:
        edges = {edge.chain.chain.place: edge for part in taken.plan.parts for edge in part.edges}
        copies: dict[Place, ChainCopy] = {}
        for part in parts:
            where = place(part, keyed=holds_rows)
            if where not in copies:
                chain, root = edges[where[:2]].chain.chain, folded_root(base, rows=where[2])
                copies[where] = ChainCopy(chain, root, self._epochs, self._put)
            copies[where].add(part)
        made = []
        for at, edge in edges.items():
            chain, stop = edge.chain.chain, _stop(edge)
            segments = [
                segment
                for rows_first in (True, False)
                if (copy := copies.get((*at, rows_first))) is not None
                for segment in copy.finish(stop)
            ]
            made.append(BaseChain(chain.topic, chain.topic_id, chain.partition, stop, "", tuple(segments)))
        return made

    def _prove(
        self,
        taken: TableRows,
        named: Table,
        chains: list[BaseChain],
        wanted: Mapping[Place, Digest],
    ) -> tuple[BaseChain, ...]:
        """The chains with their digests, once the stored segments gave the same as the fold."""
        fetched = self._stored.fetch(chains)
        alone = taken.fold_of(frames(fetched))
        found = digests(kept(Rows(named, alone, {})), keyed=alone.keyed)
        self._stored.remove(fetched)
        for where in sorted({*wanted, *found}):
            one, other = wanted.get(where, Digest()), found.get(where, Digest())
            if one != other:
                raise IntegrityError(
                    f"The base's records of {named.collection}, partition {where[1]} of {where[0]}, aren't "
                    f"what its chain comes to: {other.records} records instead of {one.records}, digest "
                    f"{other.sha256[:16]}… instead of {one.sha256[:16]}…. No manifest was written, so no "
                    "restore uses this base.",
                    next_step="report it with the destination's segments: this must not happen",
                )
        return tuple(
            replace(
                chain,
                digest=_joined(
                    found[where].sha256 for where in sorted(found) if where[:2] == chain.chain.place
                ),
            )
            for chain in chains
        )


def merged(chains: Iterable[BaseChain]) -> tuple[BaseChain, ...]:
    """One for each chain, in order: several tables may have had one topic's name, one after the other."""
    found: dict[Chain, BaseChain] = {}
    for each in chains:
        other = found.get(each.chain)
        if other is not None:
            each = replace(
                each,
                segments=(*other.segments, *each.segments),
                digest=_joined(digest for digest in (other.digest, each.digest) if digest),
            )
        found[each.chain] = each
    return tuple(found[chain] for chain in sorted(found))


def _joined(found: Iterable[str]) -> str:
    """One digest as it is; of several the SHA-256 over their texts."""
    several = list(found)
    if len(several) < 2:
        return several[0] if several else ""
    return hashlib.sha256("".join(several).encode()).hexdigest()


def _stop(edge: Edge) -> int:
    """Where the chain goes on behind the cut; nothing of it may be stored since the base before."""
    return max(edge.stop, edge.chain.begin)
