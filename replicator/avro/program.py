"""A writer's schema as a program: what to do with each value as it comes, in the order of the bytes.

Avro's encoding has no lengths of records and no names, so a reader walks through everything, wanted or not.
The program does that walk; only values below a wanted path get a column, all others are stepped over.
https://avro.apache.org/docs/1.11.1/specification/#binary-encoding
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

import fastavro
import numpy as np
from fastavro.schema import SchemaParseException, expand_schema

from replicator.errors import RefusedError

# Each instruction is a row of `WIDTH` numbers: one of these, up to three operands, and the instruction that
# follows. A column of -1 is none.
WIDTH: Final = 5
END: Final = 0
LONG: Final = 1  # column
BOOL: Final = 2  # column
FIXED: Final = 3  # column, size, whether it is a number of the machine
BYTES: Final = 4  # column
UNION: Final = 5  # first jump, number of branches
NULL: Final = 7  # column
PRESENT: Final = 8  # column
LIST: Final = 9  # column, column of the items' beginning
NEXT: Final = 10  # column, where to go after the last item
# Most fields are null or a value of one type: the union and its branches as one instruction.
OPTIONAL_LONG: Final = 11  # column, the branch that isn't null
OPTIONAL_BYTES: Final = 12  # column, the branch that isn't null
_JUMP: Final = -1  # where to; only until the program is threaded
_OPTIONAL: Final = {LONG: OPTIONAL_LONG, BYTES: OPTIONAL_BYTES}

Path: TypeAlias = tuple[str, ...]
_DEEPEST = 32


class UnreadableSchemaError(RefusedError):
    """A schema that this reader can't make columns of: recursive, or a wanted union of several types."""


@dataclass(slots=True)
class Node:
    """One wanted type of the schema and the column it fills, -1 for a null, which fills none.

    `children` are a record's wanted fields, an array's items (`item`), or a map's `key` and `value`.
    """

    kind: str
    column: int
    children: dict[str, Node] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()

    def at(self, path: Path) -> Node:
        """The node below this one; `KeyError` names a field that isn't wanted or isn't there."""
        node = self
        for name in path:
            node = node.children[name]
        return node


@dataclass(frozen=True, slots=True)
class Program:
    """`root` is what is wanted, `columns` the number of its columns, `depth` how deep lists are nested."""

    root: Node
    operations: Any
    jumps: Any
    columns: int
    depth: int


@lru_cache(maxsize=512)
def program(schema_text: str, wanted: tuple[Path, ...]) -> Program:
    """The program that reads the wanted paths, each with all below it; a path that isn't there is left out.

    `UnreadableSchemaError` when there is none, or when the text is no schema.
    """
    try:
        schema = expand_schema(fastavro.parse_schema(json.loads(schema_text)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SchemaParseException) as error:
        words = f"{type(error).__name__}: {error}"
        raise UnreadableSchemaError(f"A segment's schema can't be read: {words}") from None
    compiler = _Compiler()
    root = compiler.type(schema, wanted, 0)
    compiler.emit(END)
    if root is None:
        root = Node("null", -1)
    operations, jumps = _threaded(compiler.operations, compiler.jumps)
    return Program(
        root,
        np.array(operations, np.int32).reshape(-1, WIDTH),
        np.array(jumps or [0], np.int32),
        compiler.columns,
        max(compiler.deepest, 1),
    )


class _Compiler:
    def __init__(self) -> None:
        self.operations: list[list[int]] = []
        self.jumps: list[int] = []
        self.columns = 0
        self.deepest = 0
        self._lists = 0

    def emit(self, operation: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        self.operations.append([operation, a, b, c])
        return len(self.operations) - 1

    def type(self, schema: Any, wanted: Iterable[Path], level: int) -> Node | None:
        """Emit the instructions for one type; its node when something of it is wanted."""
        if level > _DEEPEST:
            raise UnreadableSchemaError(f"A segment's schema is nested more than {_DEEPEST} deep.")
        paths = list(wanted)
        if isinstance(schema, list):
            return self._union(schema, paths, level)
        if isinstance(schema, str):
            schema = {"type": schema}
        kind = schema["type"]
        if isinstance(kind, (dict, list)):
            return self.type(kind, paths, level + 1)
        match kind:
            case "record" | "error":
                return self._record(schema, paths, level)
            case "array" | "map":
                return self._list(kind, schema, paths, level)
            case _:
                return self._leaf(kind, schema, paths)

    def _column(self) -> int:
        self.columns += 1
        return self.columns - 1

    def _leaf(self, kind: Any, schema: dict[str, Any], paths: list[Path]) -> Node | None:
        node = Node(kind, -1, symbols=tuple(schema.get("symbols", ()))) if () in paths else None
        if node is not None:
            node.column = self._column()
        column = -1 if node is None else node.column
        match kind:
            case "null":
                self.emit(NULL, column)
            case "boolean":
                self.emit(BOOL, column)
            case "int" | "long" | "enum":
                self.emit(LONG, column)
            case "float":
                self.emit(FIXED, column, 4, 1)
            case "double":
                self.emit(FIXED, column, 8, 1)
            case "bytes" | "string":
                self.emit(BYTES, column)
            case "fixed":
                self.emit(FIXED, column, schema["size"])
            case _:
                # expand_schema leaves a name only where a type contains itself.
                raise UnreadableSchemaError(f"A segment's schema has the recursive type {kind!r}.")
        return node

    def _record(self, schema: dict[str, Any], paths: list[Path], level: int) -> Node | None:
        node = Node("record", self._column()) if paths else None
        if node is not None:
            self.emit(PRESENT, node.column)
        for each in schema["fields"]:
            name = each["name"]
            below = [()] if () in paths else [path[1:] for path in paths if path[:1] == (name,)]
            child = self.type(each["type"], below, level + 1)
            if child is not None and node is not None:
                node.children[name] = child
        return node

    def _list(self, kind: Any, schema: dict[str, Any], paths: list[Path], level: int) -> Node | None:
        whole = () in paths
        if paths and not whole:
            raise UnreadableSchemaError(f"A path leads into an {kind}, of which only the whole can be read.")
        node = Node(kind, self._column()) if whole else None
        self._lists += 1
        self.deepest = max(self.deepest, self._lists)
        begin = self.emit(LIST, -1 if node is None else node.column, -1)
        head = self.emit(NEXT, -1 if node is None else node.column)
        parts: list[tuple[str, Any]] = [("item", schema["items"])] if kind == "array" else []
        if kind == "map":
            parts = [("key", "string"), ("value", schema["values"])]
        for name, part in parts:
            if kind == "array" and _is_empty(part):
                raise UnreadableSchemaError("A list of values without a byte can't be read.")
            child = self.type(part, paths, level + 1)
            if child is not None and node is not None:
                node.children[name] = child
        self.emit(_JUMP, head)
        self.operations[head][2] = len(self.operations)
        self.operations[begin][2] = _first_column(node)
        self._lists -= 1
        return node

    def _union(self, branches: Sequence[Any], paths: list[Path], level: int) -> Node | None:
        some = [each for each in branches if _name(each) != "null"]
        if paths and len(some) > 1:
            raise UnreadableSchemaError("A union of more than null and one type has no column.")
        first_jump = len(self.jumps)
        self.jumps += [0] * len(branches)
        self.emit(UNION, first_jump, len(branches))
        node: Node | None = None
        ends = []
        nulls = []
        for index, branch in enumerate(branches):
            self.jumps[first_jump + index] = len(self.operations)
            if _name(branch) == "null" and some:
                nulls.append(index)
                continue
            node = self.type(branch, paths, level + 1) or node
            ends.append(self.emit(_JUMP))
        for index in nulls:
            self.jumps[first_jump + index] = len(self.operations)
            for column in _columns(node):
                self.emit(NULL, column)
            ends.append(self.emit(_JUMP))
        for end in ends:
            self.operations[end][1] = len(self.operations)
        return node


def _threaded(operations: Sequence[list[int]], jumps: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """The program with each instruction knowing the one that follows, so that no jump is ever run."""

    def behind(place: int) -> int:
        while operations[place][0] == _JUMP:
            place = operations[place][1]
        return place

    rows = [[*row, behind(min(place + 1, len(operations) - 1))] for place, row in enumerate(operations)]
    targets = [behind(each) for each in jumps]
    for row in rows:
        if row[0] == NEXT:
            row[2] = behind(row[2])
    for place, row in enumerate(rows):
        if row[0] == UNION and row[2] == 2:
            rows[place] = _optional(rows, targets[row[1] : row[1] + 2]) or row
    return rows, targets


def _optional(rows: Sequence[list[int]], targets: Sequence[int]) -> list[int] | None:
    """A union of null and a number or a text as one instruction; None when it is another one."""
    for branch, target in enumerate(targets):
        kind, column, _, _, behind = rows[target]
        other = targets[1 - branch]
        # Where nothing is wanted, null has no instruction: it goes on behind the union.
        is_null = other == behind if column < 0 else rows[other][:2] == [NULL, column]
        if kind in _OPTIONAL and is_null and (column < 0 or rows[other][4] == behind):
            return [_OPTIONAL[kind], column, branch, 0, behind]
    return None


def _name(schema: Any) -> Any:
    return schema.get("type") if isinstance(schema, dict) else schema


def _is_empty(schema: Any) -> bool:
    """Whether a value of the type takes no byte at all."""
    match _name(schema):
        case "null":
            return True
        case "record" | "error":
            return all(_is_empty(each["type"]) for each in schema["fields"])
        case "fixed":
            return bool(schema["size"] == 0)
        case dict() | list() as inner if isinstance(schema, dict):
            return _is_empty(inner)
        case _:
            return False


def _columns(node: Node | None) -> list[int]:
    """The columns that have a value wherever the node's own has one; not those of a list's items."""
    if node is None:
        return []
    found = [node.column]
    if node.kind == "record":
        for child in node.children.values():
            found += _columns(child)
    return found


def _first_column(node: Node | None) -> int:
    """The column of a list's first item part, whose length tells where the list's items begin."""
    return -1 if node is None else next(iter(node.children.values())).column
