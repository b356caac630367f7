"""A database whose DDL log is followed step by step on PostgreSQL alone, and a second one that is built of
it as a restore would.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from deploy.local import configuration
from deploy.local.endpoints import Endpoints
from replicator.config import Config
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.schema import ddl_history, schema_plan
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.schema_plan import SchemaPlan
from replicator.restore.target import build, database
from replicator.source import dump
from replicator.source.install import install
from tests.histories.schema_text import difference, schema_text

_ROWS = """
SELECT id, txid, kind, statement, tag, object_type, schema_name, object_identity, query, search_path,
    definition, dump, object_oid AS oid
FROM replicator.ddl_log WHERE id > %s ORDER BY id
"""
_NOW = """
SELECT replicator.table_definition(c.oid)->>'table', replicator.table_definition(c.oid),
    NOT EXISTS (SELECT FROM pg_depend e
                WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
    AND n.nspname NOT IN ('replicator', 'information_schema')
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What following the log came to: why a restore is `refused`, and how it would be `wrong`."""

    refused: str | None
    wrong: tuple[str, ...]


class Followed:
    """`sql` is the source's superuser. `look` follows what was logged since the last look."""

    def __init__(self, endpoints: Endpoints, begin: Iterable[str]) -> None:
        self._postgres = endpoints.postgres
        self._name = f"d{uuid4().hex[:10]}"
        self._stack = ExitStack()
        self._admin = self._stack.enter_context(psycopg.connect(self._postgres.dsn, autocommit=True))
        self.dsn = self._new(self._name)
        self.sql = self._stack.enter_context(psycopg.connect(self.dsn, autocommit=True))
        for statement in begin:
            self.sql.execute(statement.encode())
        self._pg_dump = Path(endpoints.postgres.bin) / "pg_dump"
        document = configuration.captured(endpoints, self._name, self.dsn)
        install(Config.model_validate(document), lambda _: None)
        self._roles = {str(row[0]) for row in self.sql.execute("SELECT rolname FROM pg_roles")}
        self._rows: list[DdlRow] = []
        self._txid, self._commit = 0, -1
        self._target: psycopg.Connection[Any] | None = None
        self._dsn_built = ""
        self._builder: build.Builder | None = None
        self._built: tuple[int, int] | None = None

    def close(self) -> None:
        """Drop both databases."""
        if self._target is not None:
            self._target.close()
        self.sql.close()
        for name in (self._name, f"{self._name}_built"):
            self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        self._stack.close()

    def look(self, *, built: bool = True, whole: bool = False) -> Found:
        """What a restore to now would be; `whole` compares all that pg_dump writes as well, not tables alone.
        Without `built` it is only compared what the log says of the tables.

        Where it is refused or wrong, the next look begins with a new installation's dump.
        """
        self._read()
        wrong = self._against_catalogue()
        refused = None
        try:
            plan = self._plan()
        except SchemaRefusedError as error:
            refused = error.message
        else:
            wrong += self._against_built(plan, whole=whole) if built else []
        if refused or wrong:
            self._begin_again()
        return Found(refused, tuple(wrong))

    def _begin_again(self) -> None:
        """As a new installation would: a dump, and nothing before it."""
        dump.take(self.dsn, self._pg_dump)
        self._read()
        self._rows = [replace(self._rows[-1], commit=0, lsn=0)]
        self._commit = 0

    def _read(self) -> None:
        with self.sql.cursor(row_factory=dict_row) as cursor:
            last = self._rows[-1].id if self._rows else 0
            for row in cursor.execute(_ROWS, (last,)).fetchall():
                txid = row.pop("txid")
                if txid != self._txid:
                    self._txid, self._commit = txid, self._commit + 1
                self._rows.append(DdlRow(commit=self._commit, lsn=row["id"], **row))

    def _plan(self) -> SchemaPlan:
        return schema_plan.plan(self._rows, self._commit, lambda number: number, _is_captured)

    def _against_catalogue(self) -> list[str]:
        told = ddl_history.follow(self._rows, lambda name: _is_captured(*name.split(".", 1)), lambda *_: True)
        now = {table: (each, own) for table, each, own in self.sql.execute(_NOW).fetchall()}
        wrong = [f"log: {name} isn't there" for name in told.definitions if name not in now]
        for name, (definition, own) in sorted(now.items()):
            logged = told.definitions.get(name)
            if logged is None:
                wrong += [f"log: {name} isn't in it"] if own else []
                continue
            wrong += [f"log: {each}" for each in build.compared(name, logged, definition)]
            wrong += [
                f"log: {name}.{column['name']}: {part} is {column.get(part)!r}, not {known.get(part)!r}"
                for column, known in zip(definition["columns"], logged["columns"], strict=False)
                for part in ("attnum", "type_oid")
                if column.get(part) != known.get(part)
            ]
            if definition["oid"] != logged["oid"]:
                wrong.append(f"log: {name} is {definition['oid']}, not {logged['oid']}")
        return wrong

    def _against_built(self, plan: SchemaPlan, *, whole: bool) -> list[str]:
        try:
            target = self._target_of(plan)
        except SchemaRefusedError as error:
            return [f"built: {error.message}"]
        wrong = [f"built: {each}" for each in build.differences(target, plan.definitions)]
        if whole:
            texts = [schema_text(dsn, self._pg_dump) for dsn in (self.dsn, self._dsn_built)]
            wrong += difference(*texts)
        return wrong

    def _target_of(self, plan: SchemaPlan) -> psycopg.Connection[Any]:
        """The database that a restore would have built, going on where the last plan ended."""
        if self._built is None or self._built[0] != plan.dump_id or self._builder is None:
            if self._target is not None:
                self._target.close()
            self._dsn_built = self._new(f"{self._name}_built")
            self._target = self._stack.enter_context(database.connect(self._dsn_built))
            self._target.execute("CREATE SCHEMA replicator_restore")
            self._builder = build.Builder(self._target, plan.dump.settings, self._roles)
            self._built = (plan.dump_id, 0)
            for entry in plan.dump.entries():
                self._builder.run(entry)
        assert self._target is not None
        done, self._built = self._built[1], (plan.dump_id, len(plan.commands))
        for command in plan.commands[done:]:
            if not command.late:
                self._builder.replay(command)
        self._builder.keep_before(plan.definitions)
        self._target.execute("SET search_path = ''")
        return self._target

    def _new(self, name: str) -> str:
        self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        self._admin.execute(f"CREATE DATABASE {name}".encode())
        return self._postgres.dsn_of(name)


def _is_captured(schema: str, _: str) -> bool:
    return schema == "public"
