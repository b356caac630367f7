"""What became of all tables up to a cut, from the DDL log.

Pure. What moves or changes rows without an event of theirs is told, so that a restore can refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from replicator.debezium import names
from replicator.restore.schema import ddl
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.epochs import START, Definition, Lost, Past, Told
from replicator.restore.schema.logged_table import LoggedTable, shape
from replicator.restore.schema.naming import Naming

_EMPTY = "CREATE TABLE"
"""The command whose table has no rows before the log's row about it."""


def follow(
    rows: Sequence[DdlRow], captured: Callable[[str], bool], had_rows: Callable[[str, int], bool]
) -> Told:
    """Follow the log's rows, which are in commit order.

    `captured(collection)` says whether events of that name are captured, and `had_rows(collection, commit)`
    whether there were any up to a commit.
    """
    log = _Log(captured, had_rows)
    for group in _statements(rows):
        log.take(group)
    tables = [table for table in log.tables.values() if not table.dropped]
    told = Told({}, {}, {}, {}, log.naming.held())
    for table in tables:
        identity = table.definition["table"]
        told.definitions[identity] = table.definition
        told.pasts[identity] = Past(table.epochs(), table.key())
        told.added.update({(identity, column): value for column, value in table.added().items()})
        if table.lost:
            told.lost[identity] = table.lost[0]
    return told


def _statements(rows: Sequence[DdlRow]) -> Iterable[list[DdlRow]]:
    """The rows that one statement wrote, together."""
    group: list[DdlRow] = []
    for row in rows:
        if group and (row.commit, row.statement, row.kind) != (
            group[0].commit,
            group[0].statement,
            group[0].kind,
        ):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


class _Log:
    def __init__(self, captured: Callable[[str], bool], had_rows: Callable[[str, int], bool]) -> None:
        self._captured = captured
        self._had_rows = had_rows
        self._named: dict[str, int] = {}
        self._freed: dict[str, int] = {}
        self.tables: dict[int, LoggedTable] = {}
        self.naming = Naming()

    def take(self, group: Sequence[DdlRow]) -> None:
        """The rows of one statement."""
        for row in group:
            position = row.lsn if row.commit > 0 else START
            if row.kind == "dump" and row.definition is not None:
                for definition in row.definition["tables"]:
                    self._dumped(row, position, definition)
            elif row.kind == "command" and row.definition is not None:
                self._described(row, position, row.definition, group)
            elif row.kind == "rewrite":
                self._rewritten(row)
        if group[0].kind == "drop":
            self._dropped(group)
        elif group[0].kind == "command":
            self._detached(group)

    def _dumped(self, row: DdlRow, position: int, definition: Definition) -> None:
        table = self.tables.get(definition["oid"])
        collection = names.collection(definition["table"])
        if table is None:
            self._begin(START, definition)
            self.naming.takes(definition["oid"], collection, START)
            return
        self.naming.turns_out(definition["oid"], collection)
        if row.commit > 0 and shape(definition) != shape(table.definition):
            table.lost.append(Lost(row, "before it the table was changed by a command that isn't in the log"))
        self._name(table, position, definition)
        table.learn(position, definition)

    def _described(self, row: DdlRow, position: int, definition: Definition, group: Sequence[DdlRow]) -> None:
        table = self.tables.get(definition["oid"])
        collection = names.collection(definition["table"])
        if table is None:
            # The rows that CREATE TABLE AS writes come before the log's row about it.
            freed = self._freed.get(definition["table"], START)
            self._begin(freed, definition)
            self.naming.takes(definition["oid"], collection, position if row.tag == _EMPTY else freed)
            return
        self.naming.takes(definition["oid"], collection, position)
        before = table.definition
        self._name(table, position, definition)
        table.learn(position, definition)
        self._judge(row, table, before)
        if before.get("partition_of") is not None and definition.get("partition_of") is None:
            self._left(row, table, before)
        if before.get("partition_of") is None and definition.get("partition_of") is not None:
            root = self._root(definition)
            if root is not None and self._had_rows(names.collection(before["table"]), row.commit):
                why = "the partition's rows came to it without events of their own"
                root.lost.append(Lost(row, why, definition["oid"]))

    def _begin(self, position: int, definition: Definition) -> None:
        self.tables[definition["oid"]] = LoggedTable(position, definition)
        self._named[definition["table"]] = definition["oid"]

    def _name(self, table: LoggedTable, position: int, definition: Definition) -> None:
        before, now = table.definition["table"], definition["table"]
        if before != now:
            if self._named.get(before) == definition["oid"]:
                del self._named[before]
            self._freed[before] = position
            self._named[now] = definition["oid"]

    def _root(self, definition: Definition) -> LoggedTable | None:
        """The table that has the rows of this one; None when it isn't known."""
        seen = 0
        while definition.get("partition_of") is not None and seen < 100:
            oid = self._named.get(definition["partition_of"])
            if oid is None:
                return None
            definition, seen = self.tables[oid].definition, seen + 1
        return self.tables.get(definition["oid"])

    def _rewritten(self, row: DdlRow) -> None:
        if row.commit == 0:
            return
        if (row.object_type or "").startswith("publication"):
            for each in self.tables.values():
                each.lost.append(Lost(row, "the publication was changed, so changes may be missing since"))
            return
        if row.tag == "UNMOVED":
            for each in self.tables.values():
                each.excuse(row)
            return
        oid = row.oid if row.oid is not None else self._named.get(str(row.object_identity))
        table = self.tables.get(oid) if oid is not None else None
        table = table and self._root(table.definition)
        if table is None:
            return
        if row.tag == "REREAD":
            table.reread(row, str((row.definition or {}).get("reread")))
        elif row.tag == "TRUNCATE TABLE":
            table.lost.append(Lost(row, "a single partition's TRUNCATE isn't in the stream"))
        elif not ddl.keeps_values(row):
            table.lost.append(Lost(row, "it rewrote the table's rows, which sends no events"))

    def _judge(self, row: DdlRow, table: LoggedTable, before: Definition) -> None:
        """Values that are in the table now and never were in an event."""
        if row.commit == 0:
            return
        generated = {c["attnum"] for c in before["columns"] if c.get("generated")}
        if any(c["attnum"] in generated and not c.get("generated") for c in table.definition["columns"]):
            table.lost.append(Lost(row, "the values that a generated column had were never captured"))
        was, now = (names.collection(each["table"]) for each in (before, table.definition))
        if self._captured(now) and not self._captured(was):
            table.lost.append(Lost(row, f"the rows that it had as {was} were never captured"))

    def _dropped(self, group: Sequence[DdlRow]) -> None:
        gone = []
        for row in group:
            identity = str(row.object_identity)
            if row.object_type in ("table", "foreign table"):
                oid = row.oid if row.oid in self.tables else self._named.get(identity)
                if oid is not None and (table := self.tables.get(oid)) is not None:
                    gone.append((row, table))
                self._freed[identity] = row.lsn if row.commit > 0 else START
                self._named.pop(identity, None)
            elif row.object_type == "table column":
                self._without_column(row, identity)
            elif row.object_type == "index":
                self._without_index(identity)
            elif row.definition is not None and (left := self.tables.get(row.definition["oid"])) is not None:
                # A constraint or a default of a table that stays.
                left.learn(row.lsn if row.commit > 0 else START, row.definition)
        for row, table in gone:
            table.dropped = True
            self.naming.leaves(table.definition["oid"], row.lsn if row.commit > 0 else START)
        for row, table in gone:
            root = self._root(table.definition) if table.definition.get("partition_of") is not None else None
            if root is not None and row.commit > 0 and self._held_rows(root, row.commit):
                root.lost.append(
                    Lost(row, "the rows of the partition went with it without events of their own")
                )

    def _held_rows(self, table: LoggedTable, commit: int) -> bool:
        return any(self._had_rows(names.collection(each["table"]), commit) for _, each in table.states)

    def _without_column(self, row: DdlRow, identity: str) -> None:
        *parent, column = names.parts(identity)
        oid = self._named.get(".".join(parent))
        if oid is None:
            return
        table, gone = self.tables[oid], names.unquoted(column)
        kept = [each for each in table.definition["columns"] if each["name"] != gone]
        table.learn(row.lsn if row.commit > 0 else START, {**table.definition, "columns": kept})

    def _without_index(self, identity: str) -> None:
        schema, name = map(names.unquoted, names.parts(identity))
        for table in self.tables.values():
            known = table.definition
            if names.unquoted(names.parts(known["table"])[0]) != schema:
                continue  # an index lies in its table's schema
            kept = [index for index in known.get("indexes", ()) if index["name"] != name]
            if len(kept) < len(known.get("indexes", ())):
                table.definition = {**known, "indexes": kept}

    def _detached(self, group: Sequence[DdlRow]) -> None:
        """Partitions that their root's command doesn't list any more."""
        row, parent = group[0], group[0].definition
        if row.tag != "ALTER TABLE" or parent is None or parent.get("kind") != "p" or row.commit == 0:
            return
        listed = {each.definition["oid"] for each in group if each.definition is not None}
        for oid, table in self.tables.items():
            if table.definition.get("partition_of") != parent["table"] or oid in listed or table.dropped:
                continue
            before = table.definition
            table.learn(row.lsn, {**before, "partition_of": None, "partition_bound": None})
            self._left(row, table, before)

    def _left(self, row: DdlRow, table: LoggedTable, before: Definition) -> None:
        """It is no partition any more."""
        root = self._root(before)
        for each in (root, table):
            if each is not None and row.commit > 0 and self._held_rows(root or table, row.commit):
                why = "the partition took its rows along without events of their own"
                each.lost.append(Lost(row, why, before["oid"]))
