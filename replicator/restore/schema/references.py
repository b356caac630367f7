"""Foreign keys, as the DDL log's definitions of tables have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replicator.restore.errors import SchemaRefusedError
from replicator.restore.schema import sql
from replicator.restore.schema.epochs import Definition

_NAME = r"(?:\"(?:[^\"]|\"\")+\"|[\w$]+)"
_REFERENCES = re.compile(rf"\bREFERENCES (?P<table>(?:{_NAME}\.)?{_NAME})(?P<columns>\(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key. Tables as `quote_ident` writes them, columns as they are."""

    name: str
    table: str
    columns: tuple[str, ...]
    referenced: str
    referenced_columns: tuple[str, ...]
    unproven: bool = False
    """Whether PostgreSQL has never checked it for all rows: NOT VALID."""

    def __str__(self) -> str:
        return f"{self.name} of {self.table}, which refers to {self.referenced}"


def references(logged: Mapping[str, Definition]) -> list[Reference]:
    """All foreign keys of the tables; `SchemaRefusedError` for one whose text isn't understood."""
    return [found for definition in logged.values() for found in _of(definition)]


def between_roots(keys: Iterable[Reference], logged: Mapping[str, Definition]) -> list[Reference]:
    """The keys that say something of whole tables: what a partition has from its root is left out."""
    found: dict[tuple[str, tuple[str, ...], str], Reference] = {}
    for key in keys:
        table, referenced = root_of(key.table, logged), root_of(key.referenced, logged)
        same = (table, key.columns, referenced)
        if same not in found or (key.table, key.referenced) == (table, referenced):
            found[same] = key
    return list(found.values())


def root_of(name: str, logged: Mapping[str, Definition]) -> str:
    """The root of a partition; a table that is none itself."""
    while name in logged and logged[name]["partition_of"] is not None:
        name = logged[name]["partition_of"]
    return name


def _of(definition: Definition) -> Iterable[Reference]:
    for each in definition["constraints"]:
        if each["type"] != "f":
            continue
        text = each["definition"]
        match = _REFERENCES.search(text)
        columns = sql.names_in_parentheses(text)
        other = None if match is None else sql.names_in_parentheses(match["columns"])
        if match is None or columns is None or other is None or len(columns) != len(other):
            raise SchemaRefusedError(
                f"The foreign key {each['name']} of {definition['table']} isn't understood: {text}.",
                next_step="restore everything instead of a part",
            )
        yield Reference(
            each["name"], definition["table"], columns, match["table"], other, "NOT VALID" in text
        )
