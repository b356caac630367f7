"""The tables of a cut without a database that has them: their columns' types, read from the DDL log.

A definition has each type as PostgreSQL's `format_type` prints it under an empty search path, so a type of a
user's own is qualified and the dump says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replicator.debezium.pgtypes import PgType
from replicator.debezium.values import CONVERSIONS
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.rows.table import Column, Table
from replicator.restore.schema.epochs import Definition
from replicator.restore.schema.schema_plan import SchemaPlan

_NAMES = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "boolean": "bool",
    "real": "float4",
    "double precision": "float8",
    "character varying": "varchar",
    "character": "bpchar",
    '"char"': "char",
    "bit varying": "varbit",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
}
_MODIFIER = re.compile(r"\((?P<numbers>-?\d+(?:,-?\d+)?)\)")
_PART = r"(?:\"(?:[^\"]|\"\")+\"|[\w$]+)"
_MADE = re.compile(
    rf"CREATE (?P<what>TYPE|DOMAIN) (?P<name>{_PART}(?:\.{_PART})?)(?: AS)? ?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_DOMAIN_ENDS = re.compile(r"\s+(?:COLLATE|DEFAULT|CONSTRAINT|NOT|NULL|CHECK)\b.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Declared:
    """A column as it was declared: `text`, its type below all domains, and precision and scale of a
    numeric.
    """

    name: str
    text: str
    type: PgType
    numeric: tuple[int, int] | None = None
    generated: bool = False
    """PostgreSQL computes it, so its values are in no record."""


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """A table of the cut: as a restore fills it, and with all columns as they were declared."""

    table: Table
    columns: tuple[Declared, ...]

    @property
    def stored(self) -> tuple[Declared, ...]:
        """The columns whose values are in the records, in their order."""
        return tuple(column for column in self.columns if not column.generated)


def tables(plan: SchemaPlan) -> dict[str, DeclaredTable]:
    """The tables with rows of their own (partitions' are their root's), by collection.

    `SchemaRefusedError` names a column whose type the log doesn't tell.
    """
    types = types_of(plan)
    return {
        found.table.collection: found
        for found in (
            _table(definition, types)
            for definition in plan.definitions.values()
            if definition["partition_of"] is None
        )
    }


def types_of(plan: SchemaPlan) -> Types:
    """The types that the schema's statements make."""
    return Types([*_dumped(plan), *(command.statement for command in plan.commands)])


class Types:
    """The types that statements of a schema make."""

    def __init__(self, statements: Iterable[str]) -> None:
        self._made: dict[str, tuple[str, str]] = {}
        for statement in statements:
            match = _MADE.match(statement)
            if match is not None:
                name = match["name"]
                self._made[name] = self._made[_parts(name)[-1]] = (match["what"].upper(), match["rest"])

    def of(self, text: str) -> tuple[PgType, tuple[int, int] | None]:
        """The type of a declaration, and a numeric's precision and scale; `KeyError` for one not known."""
        if text.endswith("[]"):
            element, numeric = self._element(text[:-2])
            return PgType(f"_{element.name}", element=element), numeric
        match = _MODIFIER.search(text)
        plain = text if match is None else text[: match.start()] + text[match.end() :]
        name = _NAMES.get(plain, plain)
        numbers = () if match is None else tuple(map(int, match["numbers"].split(",")))
        if name in self._made or _parts(name)[-1] in self._made:
            return self._own(name)
        bare = _parts(name)[-1]
        if bare not in CONVERSIONS and "." in name:
            raise KeyError(text)
        numeric = None
        if bare == "numeric" and numbers:
            numeric = (numbers[0], numbers[1] if len(numbers) > 1 else 0)
        return PgType(bare, length=(numbers or (1,))[0] if bare == "bit" else None), numeric

    def _element(self, text: str) -> tuple[PgType, tuple[int, int] | None]:
        what, _ = self._made.get(text) or self._made.get(_parts(text)[-1], ("", ""))
        if what == "DOMAIN":
            return PgType(_parts(text)[-1], "d"), None
        return self.of(text)

    def _own(self, name: str) -> tuple[PgType, tuple[int, int] | None]:
        what, rest = self._made.get(name) or self._made[_parts(name)[-1]]
        if what == "DOMAIN":
            return self.of(_DOMAIN_ENDS.sub("", rest).strip())
        kind = {"enum": "e", "range": "r"}.get(rest.split("(", 1)[0].strip().lower(), "c")
        return PgType(_parts(name)[-1], kind), None


def _dumped(plan: SchemaPlan) -> Iterable[str]:
    for entry in plan.dump.entries():
        if entry.type in ("TYPE", "DOMAIN"):
            yield from entry.statements


def _table(definition: Definition, types: Types) -> DeclaredTable:
    identity = definition["table"]
    schema, name = _parts(identity)
    columns = tuple(_column(identity, column, types) for column in definition["columns"])
    stored = tuple(Column(column.name, column.type) for column in columns if not column.generated)
    partitioned = definition["kind"] == "p"
    return DeclaredTable(Table(schema, name, 0, partitioned, stored, identity), columns)


def _column(identity: str, column: Mapping[str, str], types: Types) -> Declared:
    try:
        pg_type, numeric = types.of(column["type"])
    except KeyError:
        raise SchemaRefusedError(
            f"{identity}.{column['name']} has the type {column['type']}, of which the DDL log doesn't say "
            "what it is.",
            next_step="restore into a PostgreSQL, which knows it",
        ) from None
    return Declared(column["name"], column["type"], pg_type, numeric, column.get("generated") is not None)


def _parts(identity: str) -> list[str]:
    """The plain names in a qualified one."""
    return [
        part[1:-1].replace('""', '"') if part.startswith('"') else part
        for part in re.findall(_PART, identity)
    ] or [identity]
