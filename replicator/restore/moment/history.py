"""The small topics of an installation, read whole: transactions, notifications, the DDL log and the sequence
log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from replicator.avro.program import Path
from replicator.bases import Manifest
from replicator.debezium import envelope, snapshots, transactions
from replicator.debezium.snapshots import Snapshot
from replicator.debezium.transactions import Commits
from replicator.errors import RefusedError
from replicator.restore.errors import HoleError, NotYetError
from replicator.restore.moment import standing
from replicator.restore.moment.cut import SnapshotPoint
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.segments.catalog import Catalog
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.frames import in_order
from replicator.restore.segments.records import Scanner

_TRANSACTION = ("status", "id", "event_count", "data_collections", "ts_ms")
_NOTIFICATION = ("type", "aggregate_type", "additional_data", "timestamp")
_CHANGE = ("op", "after", "source")


@dataclass(frozen=True, slots=True)
class Value:
    """A sequence's state as its own table shows it."""

    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class Sequenced:
    """One row of `replicator.sequence_log` and the commit that wrote it."""

    commit: int
    id: int
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class History:
    """What an installation's own topics say, as far as the destination holds it without a hole."""

    commits: Commits
    snapshot: Snapshot
    point: SnapshotPoint
    ddl: tuple[DdlRow, ...]
    sequences: tuple[Sequenced, ...]
    of_base: bool = False
    """Whether it begins with a base: its commits then do, and the snapshot's rows were counted already."""

    def sequence_values(self, last: int) -> dict[str, Value]:
        """The newest logged value of each sequence at or before commit `last`."""
        rows = sorted(
            (row for row in self.sequences if row.commit <= last), key=lambda row: (row.commit, row.id)
        )
        return {row.name: row.value for row in rows}


def read(fetcher: Fetcher, catalog: Catalog, installation: str, base: Manifest | None = None) -> History:
    """Read the four topics; from a base on, the catalog being that of `Catalog.since`.

    `HoleError` when one has a hole, `NotYetError` while no snapshot is complete, `RefusedError` when a topic
    that is needed isn't there at all.
    """
    topic = Topics(fetcher, catalog, installation, base)
    commits = Commits() if base is None else Commits(base.commit, base.commits)
    transactions.read(topic.rows("transaction", _TRANSACTION), commits)
    snapshot = snapshots.read(topic.rows("notification", _NOTIFICATION))
    if snapshot is None:
        raise NotYetError(
            "The initial snapshot isn't complete in this destination, so there is no moment to restore yet.",
            next_step="wait until the connector streams (`replicator connect status`) and the sink caught up",
        )
    ddl: list[DdlRow] = []
    points: list[SnapshotPoint] = []
    for commit, row, source in topic.changes("replicator.ddl_log", commits):
        if commit == transactions.SNAPSHOT:
            points.append(SnapshotPoint(source["lsn"], source["ts_us"]))
        ddl.append(_ddl_row(commit, row, source["lsn"]))
    sequences = [
        Sequenced(commit, row["id"], row["name"], Value(row["last_value"], row["is_called"]))
        for commit, row, _ in topic.changes("replicator.sequence_log", commits, needed=False)
    ]
    if not points:
        raise RefusedError(
            "The DDL log has no row in the snapshot: our schema was installed after the connector began, "
            "so the schema "
            "of the first moments isn't known.",
            next_step="remove the connector (`replicator connect remove --purge`), install, and begin anew",
        )
    newest = max(points, key=lambda point: point.lsn)
    if base is None:
        standing.check(snapshot, newest, ddl, commits)
        return History(commits, snapshot, newest, tuple(ddl), tuple(sequences))
    before = [
        Sequenced(each.commit, each.id, each.name, Value(each.last_value, each.is_called))
        for each in base.sequences
    ]
    counted = replace(snapshot, scanned=dict.fromkeys(base.scanned, 0))
    return History(commits, counted, newest, tuple(ddl), (*before, *sequences), of_base=True)


class Topics:
    """The topics of an installation's own, read record by record."""

    def __init__(
        self, fetcher: Fetcher, catalog: Catalog, installation: str, base: Manifest | None = None
    ) -> None:
        self._base = base
        self._fetcher = fetcher
        self._catalog = catalog
        self._installation = installation

    def rows(self, name: str, fields: Sequence[str], *, needed: bool = True) -> Iterator[dict[str, Any]]:
        """A one-partition topic's values in offset order, with the record's offset and timestamp (ms)."""
        chains = self._catalog.topic(f"{self._installation}.{name}")
        if not chains:
            if needed:
                raise RefusedError(
                    f"The destination holds nothing of {self._installation}.{name}, without which nothing "
                    "can be proven.",
                    next_step="check the installation's name, the destination's prefix, and the sink's log",
                )
            return
        if len(chains) > 1:
            raise RefusedError(
                f"{self._installation}.{name} has {len(chains)} partitions; commit order needs exactly one.",
                next_step="recreate it with one partition (`replicator doctor`), then take a new snapshot",
            )
        [chain] = chains
        if chain.holes:
            raise HoleError(
                f"The destination has a hole: {chain.holes[0]} are in no segment, and nothing after them "
                "can be proven.",
                next_step="restore from another destination, or replay the range while Kafka still has it",
            )
        held = () if self._base is None else self._base.topic(f"{self._installation}.{name}")
        pieces = [*(piece for each in held for piece in each.pieces), *chain.pieces]
        pieces.sort(key=lambda piece: piece.start)
        paths: dict[str, Path] = {"offset": ("offset",), "timestamp_ms": ("timestamp",)}
        paths |= {field: ("value", field) for field in fields}
        scanner = Scanner(*paths.values())
        for chunk in scanner.joined(in_order(self._fetcher.stream(pieces))):
            yield from chunk.dictionaries(paths)

    def changes(
        self, name: str, commits: Commits, *, needed: bool = True
    ) -> Iterator[tuple[int, dict[str, Any], dict[str, Any]]]:
        """Rows of a table of ours: the commit's number, the row, and where it came from; unfinished ones left
        out.
        """
        for row in self.rows(name, _CHANGE, needed=needed):
            source = row["source"]
            if row["op"] == envelope.READ:
                yield transactions.SNAPSHOT, row["after"], source
            elif row["op"] == envelope.CREATE:
                number = commits.number(source["txId"], source["lsn"])
                if number is not None:
                    yield number, row["after"], source


def _ddl_row(commit: int, row: dict[str, Any], lsn: int) -> DdlRow:
    definition = row["definition"]
    return DdlRow(
        id=row["id"],
        commit=commit,
        kind=row["kind"],
        statement=row.get("statement") or row["id"],
        tag=row["tag"],
        object_type=row["object_type"],
        schema_name=row["schema_name"],
        object_identity=row["object_identity"],
        query=row["query"],
        search_path=row["search_path"],
        definition=None if definition is None else json.loads(definition),
        dump=row["dump"],
        oid=row["object_oid"],
        lsn=lsn,
    )
