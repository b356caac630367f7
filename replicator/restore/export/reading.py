"""A moment as tables that are read, without a database: what the Python API and files are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from replicator.errors import RefusedError
from replicator.restore.moment.cut import Cut
from replicator.restore.plan import Plan
from replicator.restore.report import TableReport
from replicator.restore.rows import declared
from replicator.restore.rows.declared import DeclaredTable
from replicator.restore.rows.surviving import caveats, check_types
from replicator.restore.table_rows import TableRows

if TYPE_CHECKING:
    import pyarrow as pa

    from replicator.restore.opening import Opened


class Moment:
    """The database as it was at one cut, table by table. Use it while the catalog that gave it is open."""

    def __init__(self, opened: Opened, plan: Plan, memory: int) -> None:
        self._opened = opened
        self.plan = plan
        self._memory = memory
        self.unproven: dict[str, list[tuple[str, str]]] = {}
        """Of each table that was read: columns of which some values may have been changed on the way without
        a trace, and how.
        """

    @property
    def cut(self) -> Cut:
        """The last transaction that is included."""
        return self.plan.cut

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables whose rows can be read, as `schema.table`; partitions are read with their root."""
        return tuple(table.collection for table in self.plan.tables)

    def schema(self, table: str, *, as_text: Collection[str] = ()) -> pa.Schema:
        """The columns of a table; see `table`."""
        from replicator.restore.rows import arrow_rows

        made: pa.Schema = arrow_rows.schema(self.declared(table), as_text)
        return made

    def table(self, table: str, *, as_text: Collection[str] = ()) -> pa.Table:
        """All rows of a table, in no order, proven by counting; `table` is `schema.table`, or a name that
        only one schema has.

        Columns that PostgreSQL computes (GENERATED) aren't stored and not among them. Those in `as_text` are
        PostgreSQL's text. `RefusedError` for what can't be read exactly, `IntegrityError` where stored data
        contradicts itself, `StorageError` where no source answers.
        """
        import pyarrow as pa

        return pa.Table.from_batches(
            list(self.batches(table, as_text=as_text)), self.schema(table, as_text=as_text)
        )

    def batches(self, table: str, *, as_text: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """The same piece by piece, in bounded memory. Only when the last piece was taken without an error
        is it proven that none is missing.
        """
        yield from self.read(self.declared(table), as_text, [])

    def read(
        self, table: DeclaredTable, as_text: Collection[str], reports: list[TableReport]
    ) -> Iterator[pa.RecordBatch]:
        """As `batches`; says in `reports` what was read and proven, once it is."""
        from replicator.restore.rows import arrow_rows

        lacking = set(as_text) - {column.name for column in table.stored}
        if lacking:
            names = ", ".join(sorted(lacking))
            raise RefusedError(f"{table.table.collection} stores no column {names}.")
        taken = TableRows(self._opened.planner, self.plan, self._opened.fetcher, table.table, self._memory)
        try:
            rows = taken.rows()
            check_types(rows)
            self.unproven[table.table.collection] = caveats(rows)
            if taken.any:
                yield from arrow_rows.batches(rows, table, as_text)
            taken.prove(rows.counted)
        finally:
            taken.remove()
        reports.append(taken.report(rows.counted))

    def declared(self, table: str) -> DeclaredTable:
        """A table as it was declared; `RefusedError` when none of that name is stored, or several are."""
        found = [name for name in self.tables if table in (name, name.split(".", 1)[1])]
        if table in self.tables:
            found = [table]
        if len(found) != 1:
            what = "several schemas had one" if found else "there was no such table whose rows are stored"
            raise RefusedError(
                f"{table!r} at {self.cut}: {what}.",
                next_step=f"name one of {', '.join(found or self.tables)}",
            )
        if self.plan.chosen.trimmed and found[0] in self.plan.chosen.trimmed:
            raise RefusedError(
                f"Which rows of {found[0]} belong to the named ones only foreign keys tell.",
                next_step="restore into a PostgreSQL, which follows them, or name the other tables",
            )
        return self._declared[found[0]]

    @cached_property
    def _declared(self) -> dict[str, DeclaredTable]:
        return declared.tables(self.plan.schema)
