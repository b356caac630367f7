"""Random histories of tables that come, go, and change their names, from the DDL log and the records alone:
each table has its own rows at the end, whatever others had its name before.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from replicator.debezium.transactions import Commits
from replicator.restore.fold import belonging
from replicator.restore.fold.belonging import Belonging
from replicator.restore.fold.folding import Fold
from replicator.restore.rows import text_rows
from replicator.restore.rows.surviving import Rows
from replicator.restore.schema import ddl_history
from replicator.restore.schema.ddl import DdlRow
from tests.unit.restore.fold.test_fold import TABLE, History

NAMES = ("a", "b", "c", "d")
NUMBERS = st.integers(0, 5)
CHOICE = st.integers(0, 99)


def definition(oid: int, name: str, *, keyed: bool) -> dict[str, Any]:
    key = {"name": "k", "type": "p", "definition": "PRIMARY KEY (id)"}
    return {
        "table": f"public.{name}",
        "oid": oid,
        "columns": [
            {"attnum": 1, "name": "id", "type": "bigint"},
            {"attnum": 2, "name": "v", "type": "text"},
        ],
        "constraints": [key] if keyed else [],
        "indexes": [],
    }


class Names(RuleBasedStateMachine):
    """The source: tables by oid, their names, their rows; and what of it is in the log and in the topics."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = Commits()
        self.topics: dict[str, History] = {}
        self.tables: dict[int, str] = {}
        self.keyed: dict[int, bool] = {}
        self.rows: dict[int, dict[int, str | None]] = defaultdict(dict)
        self.log: list[DdlRow] = [self._row(0, 0, "dump", definition={"tables": []})]
        self.oids = 0

    def _row(self, commit: int, lsn: int, kind: str, **more: Any) -> DdlRow:
        number = len(self.log) if hasattr(self, "log") else 0
        empty = dict.fromkeys(("tag", "object_type", "object_identity", "query", "definition", "dump"))
        given = {"statement": number, "schema_name": "public", "search_path": "public", **empty, **more}
        return DdlRow(id=number, commit=commit, kind=kind, lsn=lsn, **given)

    def _commands(self, *commands: dict[str, Any]) -> None:
        """Commands of one transaction, one after the other."""
        number, place = len(self.commits) + 1, 10 * (len(self.commits) + 1)
        self.commits.add(f"{number + 6}:{place}", f"{number + 6}:{place + 9}", 0, 0, {})
        for later, command in enumerate(commands):
            self.log.append(self._row(number, place + later, **command))

    def _described(self, oid: int, name: str, tag: str = "ALTER TABLE") -> dict[str, Any]:
        found = definition(oid, name, keyed=self.keyed[oid])
        return {"kind": "command", "tag": tag, "object_type": "table", "oid": oid, "definition": found}

    def _free(self) -> list[str]:
        return [name for name in NAMES if name not in self.tables.values()]

    def _pick(self, choice: int) -> int:
        return sorted(self.tables)[choice % len(self.tables)]

    @precondition(lambda self: self._free())
    @rule(choice=CHOICE, keyed=st.booleans())
    def create(self, choice: int, keyed: bool) -> None:
        self.oids += 1
        name = self._free()[choice % len(self._free())]
        self.tables[self.oids], self.keyed[self.oids] = name, keyed
        self._commands(self._described(self.oids, name, "CREATE TABLE"))

    @precondition(lambda self: self.tables)
    @rule(choice=CHOICE)
    def drop(self, choice: int) -> None:
        oid = self._pick(choice)
        gone = {"kind": "drop", "tag": "DROP TABLE", "object_type": "table", "oid": oid}
        self._commands({**gone, "object_identity": f"public.{self.tables.pop(oid)}"})

    @precondition(lambda self: self.tables and self._free())
    @rule(choice=CHOICE)
    def rename(self, choice: int) -> None:
        oid = self._pick(choice)
        self.tables[oid] = self._free()[choice % len(self._free())]
        self._commands(self._described(oid, self.tables[oid]))

    @precondition(lambda self: len(self.tables) > 1)
    @rule(choice=CHOICE)
    def swap(self, choice: int) -> None:
        one, other = self._pick(choice), self._pick(choice + 1)
        name, wanted = self.tables[one], self.tables[other]
        self._commands(
            self._described(one, "between"), self._described(other, name), self._described(one, wanted)
        )
        self.tables[one], self.tables[other] = wanted, name

    @precondition(lambda self: self.tables)
    @rule(choice=CHOICE, key=NUMBERS, delete=st.booleans())
    def change(self, choice: int, key: int, delete: bool) -> None:
        oid = self._pick(choice)
        topic = self.topics.setdefault(self.tables[oid], History([]))
        # What the topic's own history says of a row is another table's; the table's own is what counts.
        topic.commits, topic.rows = self.commits, self.rows[oid]
        before = len(self.commits)
        topic.change(key, f"{oid} at {before}", delete=delete)

    @invariant()
    def each_table_has_its_own_rows(self) -> None:
        told = ddl_history.follow(self.log, lambda _: True, lambda *_: True)
        assert told.definitions.keys() == {f"public.{name}" for name in self.tables.values()}
        assert not told.lost
        belonging.check_commits(told.held, self.commits, len(self.commits), lambda *_: True)
        with TemporaryDirectory() as folder:
            frames = {
                name: topic.frames(Path(folder), 3, f"i.public.{name}") for name, topic in self.topics.items()
            }
            for oid, name in self.tables.items():
                past = told.pasts[f"public.{name}"]
                topics = {f"i.{each}": each for each in past.collections()}
                epochs = {
                    topic: [epoch for epoch in past.epochs if epoch.collection == each]
                    for topic, each in topics.items()
                }
                held = {topic: told.held.of(each) for topic, each in topics.items()}
                own = [frame for topic in topics for frame in frames.get(topic.rsplit(".", 1)[1], ())]
                checked = Belonging(self.commits, held)
                folded = Fold(own, past.key, self.commits, None, epochs=epochs, belonging=checked)
                rows = Rows(TABLE, folded, {})
                found = [tuple(row.values()) for part in text_rows.batches(rows) for row in part.to_pylist()]
                assert sorted(found) == sorted(self.rows[oid].items()), (oid, name)


TestNames = Names.TestCase
TestNames.settings = settings(max_examples=8, stateful_step_count=15, deadline=None)
