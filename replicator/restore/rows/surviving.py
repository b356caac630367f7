"""The surviving rows of a table, as binary COPY takes them, and what was counted while they passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replicator.avro.program import Path
from replicator.debezium import envelope, source_types
from replicator.debezium.binary import Constant, NotPlainError, RowWriter
from replicator.debezium.pgtypes import PgType
from replicator.debezium.values import Conversion, conversion
from replicator.errors import IntegrityError, RefusedError
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.fold.folding import Fold
from replicator.restore.fold.row_filter import RowFilter
from replicator.restore.fold.survivors import READ
from replicator.restore.rows import misread
from replicator.restore.rows.table import Column, Table
from replicator.restore.schema.epochs import Epoch
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import AFTER, BEFORE, KEY, LSN, OFFSET, OP, XID, Chunk, Scanner

_ALIVE = np.array([ord(each) for each in envelope.ALIVE], np.uint8)
_IMAGES = np.array([ord(each) for each in (*envelope.ALIVE, envelope.DELETE)], np.uint8)
_TAKEN = np.array([ord(each) for each in (envelope.UPDATE, envelope.DELETE)], np.uint8)
_KNOWN = np.array([ord(each) for each in (*envelope.ALIVE, envelope.DELETE, envelope.TRUNCATE)], np.uint8)


@dataclass(slots=True)
class Counted:
    """What passed: by topic the events by transaction id and the rows of the snapshot; rows given out."""

    events: dict[str, dict[int, int]] = field(default_factory=dict)
    snapshot_rows: dict[str, int] = field(default_factory=dict)
    of_base: dict[str, int] = field(default_factory=dict)
    """By topic the records of a base, which were counted when it was made."""
    rows: int = 0


class Rows:
    """One pass over the records of a table: gives the surviving rows and counts everything.

    `added` has the stored constant, as PostgreSQL's text, of columns that are younger than some rows; `only`
    says which rows are given out, where not all are. What isn't is counted all the same. `types` has the
    types by their declaration that columns had when records were written in another form.
    """

    def __init__(
        self,
        table: Table,
        folded: Fold,
        added: Mapping[tuple[str, str], str | None],
        only: RowFilter | None = None,
        types: Mapping[str, PgType] | None = None,
    ) -> None:
        self.table = table
        self._types = types or {}
        self._only = None if only is None else only.of_type(table.collection, table.column(only.column).type)
        self.counted = Counted()
        self._fold = folded
        self._added = added

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What is read."""
        return self._fold.frames

    def epochs(self, frame: Frame) -> Sequence[Epoch]:
        """The epochs that a frame may have records of."""
        return self._fold.epochs(frame)

    @property
    def removed_apart(self) -> bool:
        """Whether PostgreSQL has to cancel the rows that were taken away, once all others are in the table.

        A row that is older than a column reads as the column's stored constant, and one that was written
        before a change of type is in the old type's spelling; only PostgreSQL can tell that this is the value
        that a later record has in another one.
        """
        if self._fold.keyed:
            return False
        if any(epoch.types for frame in self._fold.frames for epoch in self._fold.epochs(frame)):
            return True
        return any(value is not None for value in self.constants().values())

    def constants(self) -> dict[str, str | None]:
        """The stored constants, as text, of the columns that some records lack, by column."""
        return {
            column.name: self.missing(column)
            for frame in self._fold.frames
            for epoch in self._fold.epochs(frame)
            if epoch.is_whole or self._has_records(epoch, frame)
            for column in self.table.columns
            if epoch.field(column.name) not in frame.fields
        }

    def _has_records(self, epoch: Epoch, frame: Frame) -> bool:
        """Whether a frame of several epochs has rows of this one: all that it knows of are in its schema."""
        return all(
            name in frame.fields
            for column in self.table.columns
            if (name := epoch.field(column.name)) is not None
        )

    def is_counted_by_image(self) -> bool:
        """Whether rows that were taken away have to be found among the others by what is in them."""
        _ = self._fold.survivors  # only then is it known whether the table is folded by key
        return (
            not self._fold.keyed
            and not self.removed_apart
            and any(True for _ in self.taken(Scanner(OP, LSN, KEY, BEFORE)))
        )

    def pieces(self, constants: Mapping[str, Constant]) -> Iterator[bytes]:
        """The rows as `COPY … (FORMAT binary)` takes them, without its header and trailer.

        `constants` are those of `constants()` in PostgreSQL's binary form. Raises `NotPlainError` at what has
        no such form here; `ProofError` and `IntegrityError` when the records contradict themselves.
        """
        scanner = Scanner(OP, XID, LSN, KEY, AFTER)
        writers: dict[tuple[str, int], RowWriter] = {}
        for frame in self._fold.frames:
            for epoch, chunk in self.alive(scanner, frame):
                if not len(chunk.rows):
                    continue
                form = frame.fetched.record_schema, epoch.after
                if form not in writers:
                    children = scanner.program(frame).root.at(AFTER).children
                    writers[form] = RowWriter(
                        [self._source(epoch, column, children, constants) for column in self.table.columns]
                    )
                self.counted.rows += len(chunk.rows)
                yield from writers[form].write(chunk.columns, chunk.rows)

    def _source(
        self,
        epoch: Epoch,
        column: Column,
        children: Mapping[str, Any],
        constants: Mapping[str, Constant],
    ) -> tuple[PgType, Any]:
        """Where a record of the epoch has the column, and of which type."""
        if column.name in epoch.types:
            raise NotPlainError
        name = epoch.field(column.name)
        if name is not None and name in children:
            return column.type, children[name]
        if column.name not in constants:
            raise self._absent(column)
        return column.type, constants[column.name]

    def type_then(self, epoch: Epoch, column: Column) -> PgType:
        """The type as which records of the epoch were written."""
        declared = epoch.types.get(column.name)
        if declared is not None and declared not in self._types:
            raise SchemaRefusedError(
                f"{self.table.collection}.{column.name} was of the type {declared} when some rows were "
                "written; only a PostgreSQL can read them as what they are now.",
                next_step="restore the table into a PostgreSQL, and read it there",
            )
        return column.type if declared is None else self._types[declared]

    def records(
        self, scanner: Scanner, frame: Frame, *, counting: bool = True
    ) -> Iterator[tuple[Epoch, Chunk]]:
        """Every record of the table, whatever becomes of it; all are counted, also those of other tables."""
        for chunk in self._fold.chunks(scanner, frame):
            if counting:
                self._count(frame, chunk, chunk.operations())
                self._fold.belonging.check(frame, chunk)
            for epoch, own in self._fold.own(frame, chunk):
                self._check_read(frame, epoch, own, self._fold.key)
                yield epoch, own

    def alive(self, scanner: Scanner, frame: Frame) -> Iterator[tuple[Epoch, Chunk]]:
        """The records whose row is there at the cut; all are counted, also those of other tables."""
        yield from self._passing(scanner, frame, _ALIVE)

    def deciding(self, scanner: Scanner, frame: Frame) -> Iterator[Chunk]:
        """The records that say what there is at the cut: the rows, or every event that counts where rows are
        told by their images; all are counted.
        """
        for _, chunk in self._passing(scanner, frame, _ALIVE if self._fold.keyed else _IMAGES):
            yield chunk

    def _passing(self, scanner: Scanner, frame: Frame, wanted: Any) -> Iterator[tuple[Epoch, Chunk]]:
        survivors = self._fold.survivors
        for chunk in self._fold.chunks(scanner, frame):
            self._fold.belonging.check(frame, chunk)
            self._count(frame, chunk, chunk.operations())
            for epoch, own in self._fold.own(frame, chunk):
                passing = np.isin(own.operations(), wanted)
                if survivors is not None:
                    passing &= survivors.of(frame, own)
                passing &= self._wanted(frame, epoch, own, AFTER)
                deciding = own.keep(passing)
                self._check_read(frame, epoch, own, self._fold.key)
                self._check_read(frame, epoch, deciding)
                yield epoch, deciding

    def taken(self, scanner: Scanner) -> Iterator[tuple[Frame, Epoch, Chunk]]:
        """The updates and deletes that count."""
        survivors = self._fold.survivors
        for frame in self._fold.frames:
            # A base's row is the last word on its key: what it replaced isn't in the base.
            if frame.holds_rows:
                continue
            for chunk in self._fold.chunks(scanner, frame):
                for epoch, own in self._fold.own(frame, chunk):
                    taken = np.isin(own.operations(), _TAKEN)
                    if epoch.reread is not None:
                        taken &= own.values(LSN) > epoch.reread
                    if survivors is not None:
                        taken &= survivors.of(frame, own)
                    taken &= self._wanted(frame, epoch, own, BEFORE)
                    if taken.any():
                        self._check_read(frame, epoch, own.keep(taken))
                        yield frame, epoch, own.keep(taken)

    def missing(self, column: Column) -> str | None:
        """What records that are older than the column have in it: the stored constant as text, None for NULL.

        `SchemaRefusedError` when that isn't known.
        """
        key = (self.table.identity, column.name)
        if key not in self._added:
            raise self._absent(column)
        return self._added[key]

    def _check_read(
        self, frame: Frame, epoch: Epoch, chunk: Chunk, only: Sequence[str] | None = None
    ) -> None:
        """`SchemaRefusedError` names the first column of the records that Debezium read as another type, or
        as NOT NULL when it wasn't; all columns are looked at, or these.
        """
        schema = frame.fetched.header.value_schema
        if not len(chunk.rows) or schema is None:
            return
        read, required = source_types.read_as(schema[1]), source_types.required(schema[1])
        for column in self.table.columns:
            if only is not None and column.name not in only:
                continue
            name = epoch.field(column.name) or ""
            if name in required:
                self._check_null(frame, epoch, chunk, column)
            if name not in read:
                continue
            declared = epoch.types.get(column.name)
            then = column.type if declared is None else self._types.get(declared)
            if then is None or not misread.is_misread(then, read[name]):
                continue
            raise SchemaRefusedError(
                f"{self.table.collection}.{column.name} was of the type {then} when "
                f"{_place(frame, chunk)} was written, and Debezium read it "
                f"as {read[name]}, which the catalogue said at that moment: the value may be another one.",
                next_step="restore to a moment before its type was changed; " + _send_again(column),
            )

    def _check_null(self, frame: Frame, epoch: Epoch, chunk: Chunk, column: Column) -> None:
        if not any(column.name in columns for _, columns in epoch.nullable):
            return
        # Snapshots see the catalogue and the rows at one moment.
        streamed = chunk.keep(chunk.operations() != READ)
        early = misread.within(streamed.values(LSN), epoch.nullable, column.name)
        if early.any():
            raise SchemaRefusedError(
                f"{self.table.collection}.{column.name} could be NULL when "
                f"{_place(frame, streamed.keep(early))} was written, and Debezium read it as NOT NULL, which "
                "the catalogue said at that moment: a NULL would have arrived as the type's empty value.",
                next_step="restore to a moment before the record; " + _send_again(column),
            )

    def _wanted(self, frame: Frame, epoch: Epoch, chunk: Chunk, side: Path) -> Any:
        """For each record whether its row is one of those that are given out."""
        only = self._only
        if only is None:
            return True
        name = epoch.field(only.column)
        if name is not None and name in frame.fields:
            return only.of(chunk, (*side, name))
        return only.has(self.missing(self.table.column(only.column)))

    def _absent(self, column: Column) -> SchemaRefusedError:
        return SchemaRefusedError(
            f"{self.table.collection}.{column.name} is not in all of the table's records, and the DDL "
            "log doesn't say that it was added later.",
            next_step="`replicator doctor` names columns that the connector leaves out",
        )

    def _count(self, frame: Frame, chunk: Chunk, operations: Any) -> None:
        if not np.isin(operations, _KNOWN).all():
            raise IntegrityError(
                f"Partition {frame.partition} of {self.table.collection}'s topic has records that are no "
                f"change events (operations {sorted({chr(each) for each in np.unique(operations)})}).",
                next_step="find out what else writes to the topic",
            )
        if frame.of_base:
            of_base = self.counted.of_base
            of_base[frame.topic] = of_base.get(frame.topic, 0) + len(operations)
            return
        read = operations == READ
        reads = int(read.sum())
        if reads < len(read) and self._fold.is_snapshot_only(frame):
            raise IntegrityError(
                f"Partition {frame.partition} of {self.table.collection}'s topic isn't in commit order: an "
                "event that was streamed lies among rows of the initial snapshot.",
                next_step="find out what else writes to the topic",
            )
        snapshot_rows = self.counted.snapshot_rows
        snapshot_rows[frame.topic] = snapshot_rows.get(frame.topic, 0) + reads
        if reads == len(read):
            return
        if not chunk.present(XID)[~read].all():
            raise IntegrityError(
                f"An event in {frame.key} names no transaction: there is no transaction metadata.",
                next_step="correct the connector: `replicator connect apply`",
            )
        events = self.counted.events.setdefault(frame.topic, {})
        xids, counts = np.unique(chunk.values(XID)[~read], return_counts=True)
        for xid, count in zip(xids.tolist(), counts.tolist(), strict=True):
            events[xid] = events.get(xid, 0) + count


def check_types(rows: Rows) -> None:
    """`RefusedError` names the first column whose type can't be restored from these records; two columns that
    Avro merges as well.
    """
    table = rows.table
    fields: dict[str, str] = {}
    for column in table.columns:
        why = _conversion(column, rows).refusal
        if why is not None:
            raise RefusedError(
                f"{table.collection}.{column.name} has the type {column.type}, which can't be restored "
                f"exactly: {why}.",
                next_step="have the connector carry such values (source.exact_values) and take a new "
                "snapshot; exclude the table from the capture; or change the column's type at the source",
            )
        if column.field in fields:
            raise RefusedError(
                f"{table.collection} has the columns {fields[column.field]!r} and {column.name!r}, which "
                "are one "
                f"field {column.field!r} in Avro.",
                next_step="rename one of them at the source and take a new snapshot",
            )
        fields[column.field] = column.name


def caveats(rows: Rows) -> list[tuple[str, str]]:
    """Columns of which some values may have been changed on the way without a trace, and how."""
    found = [(column.name, _conversion(column, rows).caveat) for column in rows.table.columns]
    return [(name, caveat) for name, caveat in found if caveat is not None]


def _conversion(column: Column, rows: Rows) -> Conversion:
    """How the column's values are read back from the records that lose most of them."""
    here = [
        name in frame.exact
        for frame in rows.frames
        for epoch in rows.epochs(frame)
        if (name := epoch.field(column.name)) in frame.fields
    ]
    # Where no record has the column, its stored constant came as PostgreSQL's own text.
    return conversion(column.type, exact=all(here))


def _place(frame: Frame, chunk: Chunk) -> str:
    """The first of the records, in words."""
    offset = int(chunk.values(OFFSET)[0])
    return f"the record at offset {offset} of {frame.topic}, partition {frame.partition},"


def _send_again(column: Column) -> str:
    return (
        f"at the source, `UPDATE … SET {column.name} = {column.name}` sends the rows again, and moments "
        "after it are possible (of a table without a key after a new snapshot)"
    )
