"""Building the schema in the target, and finding out what tables it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import psycopg
from psycopg.rows import dict_row

from replicator.debezium.pgtypes import COLUMN_TYPES, PgType, from_row
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.rows.table import Column, Table
from replicator.restore.schema import dump, sql
from replicator.restore.schema.epochs import Definition
from replicator.restore.schema.schema_plan import Command
from replicator.restore.target.database import Connection, failed, is_failing

_TABLES = """
SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
   AND n.nspname NOT LIKE 'pg\\_%'
   AND n.nspname NOT IN ('information_schema', 'replicator', 'replicator_restore')
   AND NOT EXISTS (SELECT FROM pg_depend d
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
"""
_ROOTS = """
SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', rn.nspname, r.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid)
  JOIN pg_namespace rn ON rn.oid = r.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%'
"""
_INHERITED_UNVALIDATED = """
SELECT format('%I.%I', n.nspname, c.relname), k.conname::text, quote_ident(k.conname)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'c' AND NOT k.convalidated AND k.coninhcount > 0
"""
_COMPARED = (
    *("kind", "persistence", "replica_identity", "constraints", "indexes"),
    *("partition_key", "partition_of", "partition_bound", "inherits"),
)
_COMPARED_COLUMN = ("name", "type", "not_null", "default", "identity", "generated", "collation")


class Builder:
    """Runs parts of the schema; statements about roles that the server lacks are left out and told."""

    def __init__(self, connection: Connection, settings: Sequence[str], roles: set[str]) -> None:
        self._connection = connection
        self._roles = roles
        self._settings = settings
        self.left_out: list[str] = []
        self.prepare(connection)

    def prepare(self, connection: Connection) -> None:
        """Give a connection the dump's own settings."""
        for setting in self._settings:
            connection.execute(setting.encode())
        connection.execute("SET client_min_messages = error; SET statement_timeout = 0; SET lock_timeout = 0")

    def run(self, entry: dump.Entry, connection: Connection | None = None) -> None:
        """One entry of the dump; `SchemaRefusedError` with PostgreSQL's message when it fails."""
        for statement in entry.statements:
            if statement == "CREATE SCHEMA public":
                statement = "CREATE SCHEMA IF NOT EXISTS public"
            if dump.roles(statement) - self._roles:
                self.left_out.append(statement)
                continue
            self._execute(
                connection or self._connection, statement, f"{entry.type} {entry.name} of the schema dump"
            )

    def replay(self, command: Command) -> None:
        """One logged statement, under the search_path it had."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT set_config('search_path', %s, false)", (command.search_path,))
            self._execute(self._connection, command.statement, "the logged statement")
            cursor.execute("SELECT set_config('search_path', '', false)")

    def keep_before(self, definitions: dict[str, Definition]) -> None:
        """Give replayed tables the replica identity that the source's own trigger gave them, unlogged."""
        for table, definition in definitions.items():
            if definition.get("replica_identity") == "f":
                statement = f"ALTER TABLE {table} REPLICA IDENTITY FULL"
                self._execute(self._connection, statement, "the replica identity of a table")

    def _execute(self, connection: Connection, statement: str, what: str) -> None:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            if is_failing(error):
                raise failed(error) from error
            raise SchemaRefusedError(
                f"The target doesn't take {what}: {str(error).strip()}\n  {statement[:500]}",
                next_step="compare versions and extensions of source and target; what is missing has "
                "to be installed on the target's server first",
            ) from error


def tables(connection: Connection) -> list[Table]:
    """The tables that rows are loaded into: ordinary ones and roots of partitions, with their columns."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_TABLES).fetchall()
        columns: dict[int, list[dict[str, Any]]] = {}
        for row in cursor.execute(COLUMN_TYPES, {"relations": [row["oid"] for row in found]}):
            columns.setdefault(row["relation"], []).append(row)
        identities = cursor.execute(
            "SELECT o::int8 AS oid, format('%%I.%%I', n.nspname, c.relname) AS identity FROM "
            "unnest(%s::oid[]) o "
            "JOIN pg_class c ON c.oid = o JOIN pg_namespace n ON n.oid = c.relnamespace",
            ([row["oid"] for row in found],),
        ).fetchall()
    identity = {row["oid"]: row["identity"] for row in identities}
    return [
        Table(
            row["schema"],
            row["name"],
            row["oid"],
            row["partitioned"],
            tuple(
                Column(each["name"], from_row(each))
                for each in columns.get(row["oid"], ())
                if not each["generated"]
            ),
            identity[row["oid"]],
        )
        for row in found
    ]


def types(connection: Connection, declared: Iterable[str]) -> dict[str, PgType]:
    """What the target knows of these types, by declaration; `SchemaRefusedError` for one that is gone."""
    found = {}
    for text in sorted(declared):
        try:
            with (
                connection.transaction(force_rollback=True),
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                cursor.execute(f"CREATE TEMP TABLE replicator_type (c {text})".encode())
                cursor.execute(
                    COLUMN_TYPES.replace("%(relations)s", "ARRAY['pg_temp.replicator_type'::regclass]")
                )
                found[text] = from_row(cursor.fetchall()[0])
        except psycopg.Error as error:
            raise SchemaRefusedError(
                f"Rows were captured while a column had the type {text}, and at the target moment there is "
                f"no such type: {str(error).strip()}",
                next_step="restore to a moment before the type was dropped",
            ) from error
    return found


def roots(connection: Connection) -> dict[str, str]:
    """For each table its partition root, itself where it is none; both as `quote_ident` writes them."""
    return dict(connection.execute(_ROOTS).fetchall())


def validate_inherited(connection: Connection, logged: Mapping[str, Definition]) -> None:
    """Validate the checks that a child or a partition had validated, though its parent's never was.

    So it is for each that is made after the parent's check. A dump adds the parent's check once all children
    are there (and so do we once the rows are), which leaves theirs not validated either.
    """
    for table, name, quoted in connection.execute(_INHERITED_UNVALIDATED).fetchall():
        for constraint in logged.get(table, {}).get("constraints", ()):
            if constraint["name"] == name and not constraint["definition"].endswith(" NOT VALID"):
                connection.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted}".encode())


def differences(connection: Connection, logged: dict[str, Definition]) -> list[str]:
    """How the built tables differ from what the DDL log says of them, by the source's own function."""
    for statement in _definition_functions():
        connection.execute(statement.encode())
    found = []
    with connection.transaction():
        for table, definition in sorted(logged.items()):
            row = connection.execute(
                "SELECT replicator_restore.table_definition(to_regclass(%s))", (table,)
            ).fetchone()
            built = row[0] if row else None
            if built is None:
                found.append(f"{table} was not built")
            else:
                found += compared(table, definition, built)
    connection.execute(
        "DROP FUNCTION replicator_restore.table_definition, replicator_restore.missing_in_partitions"
    )
    return found


def compared(table: str, logged: Definition, built: Definition) -> list[str]:
    """How the definition of a table that was built differs from the logged one."""
    found = [
        f"{table}: {part} is {built.get(part)!r}, the log says {logged[part]!r}"
        for part in _COMPARED
        if part in logged and logged[part] != built.get(part)
    ]
    columns = [
        [{key: each.get(key) for key in _COMPARED_COLUMN} for each in side["columns"]]
        for side in (built, logged)
    ]
    found += [
        f"{table}: column {one!r}, the log says {other!r}"
        for one, other in zip(*columns, strict=False)
        if one != other
    ]
    if len(columns[0]) != len(columns[1]):
        found.append(f"{table} has {len(columns[0])} columns, the log says {len(columns[1])}")
    return found


def _definition_functions() -> list[str]:
    """The source's functions, under our schema's name: one definition of what a definition is."""
    text = (resources.files("replicator") / "source" / "sql" / "functions.sql").read_text()
    wanted = ("replicator.missing_in_partitions(", "replicator.table_definition(")
    return [
        statement.replace("replicator.", "replicator_restore.")
        for statement in sql.statements(text)
        if statement.startswith("CREATE OR REPLACE FUNCTION")
        and any(name in statement.split("\n")[0] for name in wanted)
    ]
