"""The schema as of a cut: the newest logged dump, the commands after it, and what they mean for rows of
before.

Pure: rows of `replicator.ddl_log` in, a plan or a refusal out. What can't be carried over exactly is refused
by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from replicator.debezium import names
from replicator.debezium.envelope import lsn_text
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.schema import ddl, ddl_history, dump, sql
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.epochs import Definition, Past
from replicator.restore.schema.naming import Held

_FILLED = ("CREATE TABLE AS", "SELECT INTO")


@dataclass(frozen=True, slots=True)
class Command:
    """One statement to run again after the dump, under the search_path it ran under."""

    statement: str
    search_path: str
    late: bool


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """How to build the schema of the cut, and what its tables were before.

    `definitions` are the tables as the log last described them; `added` gives, for each column that came
    after rows were there, the constant that PostgreSQL stored for those rows (its text, or None for NULL).
    `pasts` says where each table's rows are, `held` which names were some table's, and when.
    """

    dump: dump.Dump
    dump_id: int
    commands: tuple[Command, ...]
    definitions: dict[str, Definition]
    added: dict[tuple[str, str], str | None] = field(default_factory=dict)
    pasts: dict[str, Past] = field(default_factory=dict)
    held: Held = field(default_factory=Held)

    def named(self, collection: str) -> list[str]:
        """All names that one of the cut's tables (`schema.table`) ever had, this one first."""
        found = (past.collections() for past in self.pasts.values())
        return next((each for each in found if each[:1] == [collection]), [collection])


def plan(
    rows: Sequence[DdlRow],
    last: int,
    lsn_before: Callable[[int], int | None],
    captured: Callable[[str, str], bool],
    had_rows: Callable[[str, int], bool] = lambda collection, commit: True,
) -> SchemaPlan:
    """The plan for a cut after commit `last`, from the log's rows in any order.

    `lsn_before(n)` is the END of the commit before n, for naming the nearest moment; `captured` says of a
    schema and a table whether its rows are restored, `had_rows` of a collection whether there were any up to
    a commit. `SchemaRefusedError` names the first statement that can't be carried over.
    """
    until = sorted((row for row in rows if row.commit <= last), key=lambda row: (row.commit, row.id))
    dumps = [row for row in until if row.kind == "dump" and row.dump]
    if not dumps:
        raise SchemaRefusedError(
            "No dump of the schema is logged at or before the target, so its tables can't be built.",
            next_step="run `replicator source install` at the source; moments after it can be restored",
        )
    newest = dumps[-1]
    for group in _texts([row for row in until if row.commit > 0 and row.kind != "dump"]):
        _check_rows_survive(group, lsn_before, captured)
    told = ddl_history.follow(until, lambda name: captured(*name.split(".", 1)), had_rows)
    for identity, lost in told.lost.items():
        if _has_rows(told.definitions[identity]) and captured(*names.collection(identity).split(".", 1)):
            raise _refused(lost.row, lsn_before, lost.why)
    replayed = until[until.index(newest) + 1 :]
    commands = [
        command
        for group in _texts([row for row in replayed if row.kind != "dump"])
        for command in _commands(group, lsn_before)
    ]
    return SchemaPlan(
        dump.parse(str(newest.dump)),
        newest.id,
        tuple(commands),
        told.definitions,
        told.added,
        told.pasts,
        told.held,
    )


def _has_rows(definition: Definition) -> bool:
    """Whether it is a table whose rows are restored as its own."""
    return definition.get("partition_of") is None and definition.get("persistence", "p") == "p"


def _texts(rows: Sequence[DdlRow]) -> list[list[DdlRow]]:
    """Rows of one text sent in one transaction belong together."""
    return [list(group) for _, group in groupby(rows, key=lambda row: (row.commit, row.query))]


def _units(group: Sequence[DdlRow]) -> list[list[DdlRow]]:
    """The statements that were recorded: an ALTER's own drops and rewrites are no statements of their own."""
    counted = [
        row
        for row in group
        if row.kind == "command" or (row.kind == "drop" and (row.tag or "").startswith("DROP"))
    ]
    return [list(unit) for _, unit in groupby(counted, key=lambda row: row.statement)]


def _statements(group: Sequence[DdlRow]) -> list[str] | None:
    query = group[0].query
    units = _units(group)
    if not query or not units:
        return None if not query else ddl.split(query, len(units))
    single = ddl.split(query, 1)
    return single * len(units) if single is not None else ddl.split(query, len(units))


def _check_rows_survive(
    group: Sequence[DdlRow], lsn_before: Callable[[int], int | None], captured: Callable[[str, str], bool]
) -> None:
    if all(row.schema_name is not None and not captured(row.schema_name, "") for row in group):
        return
    units, statements = _units(group), _statements(group)
    for number, unit in enumerate(units):
        statement = statements[number] if statements else None
        if not all(ddl.keeps_rows(row.tag or "", statement) for row in unit):
            raise _refused(unit[0], lsn_before, "rows captured before it can't be carried across it")


def _commands(group: Sequence[DdlRow], lsn_before: Callable[[int], int | None]) -> list[Command]:
    statements, units = _statements(group), _units(group)
    if not units:
        return []  # rows that were sent again by hand: there is nothing to run
    if statements is None:
        why = (
            "it ran inside a function or a block, or beside a rollback"
            if group[0].query
            else "its text isn't logged, since it may hold a password"
        )
        raise _refused(group[0], lsn_before, f"{why}, and no dump of the schema follows before the target")
    path = group[0].search_path or ""
    found = []
    for unit, statement in zip(units, statements, strict=True):
        if not any(ddl.made_by(row.tag or "", statement) for row in unit):
            why = "another command was logged than its text has, and no dump of the schema follows"
            raise _refused(unit[0], lsn_before, f"{why} before the target")
        if ddl.drops_by_owner(statement):
            why = "what it dropped was told by its owner, and no dump of the schema follows before the target"
            raise _refused(unit[0], lsn_before, why)
        made = unit[0].definition
        if unit[0].tag in _FILLED and made is not None:
            # Its rows are in the stream, so the query isn't run again.
            statement = create_table(made)
        found.append(Command(ddl.without_data(statement), path, ddl.is_late(statement)))
    return found


def create_table(definition: Definition) -> str:
    """The statement that makes a table without defaults and constraints, as a query's result is one."""
    columns = (
        f"{sql.quoted(column['name'])} {column['type']}"
        + (f" COLLATE {column['collation']}" if column.get("collation") else "")
        for column in definition["columns"]
    )
    unlogged = "UNLOGGED " if definition.get("persistence") == "u" else ""
    return f"CREATE {unlogged}TABLE {definition['table']} ({', '.join(columns)})"


def _refused(row: DdlRow, lsn_before: Callable[[int], int | None], why: str) -> SchemaRefusedError:
    before = lsn_before(row.commit)
    nearest = (
        f"the nearest possible moment is just before it: --to-lsn {lsn_text(before)}"
        if before is not None
        else "it came with the first transaction after the snapshot; take a new snapshot"
    )
    return SchemaRefusedError(f"The target lies behind a schema change, and {why}: {row}.", next_step=nearest)
