"""Tables of every type, and random ones, as SQL for before and after the snapshot."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from replicator.debezium.names import field
from tests.stack.awkward_values import AWKWARD, OPTIONAL, TYPES

_COLUMNS = 12
_NAMES = (
    *("plain", "MiXed", "mixed", "two words", "a-b", "dot.ted", "größe", "💐", "select", 'q"uote', "1st"),
    *("Ünï", "x" * 63, "semi;colon", "com,ma", "per%cent", "dol$lar", "back\\slash", "it's", "日本"),
)


def known_values(dsn: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """SQL that makes the types, and the values by type, of what this server has."""
    values = dict(AWKWARD)
    statements = [TYPES]
    with psycopg.connect(dsn, autocommit=True) as connection:
        there = {str(row[0]) for row in connection.execute("SELECT name FROM pg_available_extensions")}
        for extension, more in OPTIONAL.items():
            if extension in there:
                statements.append(f"CREATE EXTENSION {extension};")
                values |= more
        try:
            connection.execute("SELECT '<a/>'::xml")
            values |= {"xml": ('<a b="c">d</a>', "text &amp; <b/>"), "xml[]": ("{<a/>,NULL}",)}
        except psycopg.errors.FeatureNotSupported:
            pass  # built without libxml
    return "\n".join(statements), values


def typed_tables(values: Mapping[str, Sequence[str]], columns: int = _COLUMNS) -> list[tuple[str, list[str]]]:
    """Tables by name with the types of their columns, at most so many: column `a0` may be NULL and has a
    default, `b0` not.
    """
    types = list(values)
    return [
        (f"types {first // columns}", types[first : first + columns])
        for first in range(0, len(types), columns)
    ]


def make_typed(
    values: Mapping[str, Sequence[str]], columns: int = _COLUMNS, *, required: str = "NOT NULL"
) -> Iterator[str]:
    """The statements that make the typed tables; `required` is what is said of `b0`."""
    for name, types in typed_tables(values, columns):
        fields = [
            f"a{number} {declared} DEFAULT {literal(values[declared][0])}, b{number} {declared} {required}"
            for number, declared in enumerate(types)
        ]
        yield f"CREATE TABLE {quoted(name)} (id int PRIMARY KEY, {', '.join(fields)})"


def fill_typed(values: Mapping[str, Sequence[str]], first: int, columns: int = _COLUMNS) -> Iterator[str]:
    """Rows with every value, and one of NULLs, from the id `first` on."""
    for name, types in typed_tables(values, columns):
        for row in range(max(len(values[declared]) for declared in types) + 1):
            fields = []
            for declared in types:
                texts = (*values[declared], None)
                fields += [literal(texts[row % len(texts)]), literal(texts[row % (len(texts) - 1)])]
            yield f"INSERT INTO {quoted(name)} VALUES ({first + row}, {', '.join(fields)})"


def change_typed(values: Mapping[str, Sequence[str]], first: int) -> Iterator[str]:
    """Of the rows from `first` on one takes other values, one loses them and one goes."""
    for name, types in typed_tables(values):
        numbers = range(len(types))
        ours = quoted(name)
        mixed = ", ".join(f"a{n} = (SELECT b{n} FROM {ours} WHERE id = {first + 1})" for n in numbers)
        yield f"UPDATE {ours} SET {mixed} WHERE id = {first}"
        yield f"UPDATE {ours} SET {', '.join(f'a{n} = NULL' for n in numbers)} WHERE id = {first + 1}"
        yield f"UPDATE {ours} SET id = -id WHERE id = {first + 1}"
        yield f"DELETE FROM {ours} WHERE id = {first + 2}"


@dataclass(frozen=True, slots=True)
class RandomTable:
    """A table with random columns; `key` are those of its primary key, none for some tables."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]


class RandomTables:
    """Random tables, rows and changes, the same for the same seed."""

    def __init__(self, seed: int, values: Mapping[str, Sequence[str]], count: int) -> None:
        self._random = random.Random(seed)
        self._values = values
        self.tables = [self._table(number) for number in range(count)]
        self._next = 0

    def make(self) -> Iterator[str]:
        """The statements that make them."""
        for table in self.tables:
            parts = [
                f"{quoted(name)} {declared}{self._random.choice(('', self._default(declared)))}"
                for name, declared in table.columns.items()
            ]
            if table.key:
                parts.append(f"PRIMARY KEY ({', '.join(map(quoted, table.key))})")
            yield f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)})"

    def rows(self, each: int) -> Iterator[str]:
        """Inserts."""
        for table in self.tables:
            for _ in range(each):
                yield self._insert(table)

    def changes(self, count: int) -> Iterator[str]:
        """Inserts, updates, changes of keys, deletes, truncates, in transactions of random length."""
        done = 0
        while done < count:
            block = [self._change() for _ in range(self._random.choice((1, 1, 1, 2, 5)))]
            done += len(block)
            end = self._random.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))
            yield f"BEGIN; {'; '.join(block)}; {end}"

    def _table(self, number: int) -> RandomTable:
        names = self._random.sample(_NAMES, self._random.randrange(1, 8))
        columns = {name: self._random.choice(list(self._values)) for name in distinct(names)}
        name = f"{self._random.choice(_NAMES)[:40]} {number}"
        kind = self._random.choice(("id", "id", "id and at", "none"))
        if kind == "none":
            return RandomTable(name, columns, ())
        columns = {"id": "bigint"} | columns
        if kind == "id":
            return RandomTable(name, columns, ("id",))
        at = self._random.choice(("date", "numeric", "uuid", "text", "bit varying", "timestamp", "inet"))
        return RandomTable(name, {"at": at} | columns, ("at", "id"))

    def _default(self, declared: str) -> str:
        return f" DEFAULT {literal(self._random.choice(self._values.get(declared, ('7',))))}"

    def _value(self, declared: str) -> str | None:
        if self._random.random() < 0.15:
            return None
        if self._random.random() < 0.3:
            made = self._made(declared)
            if made is not None:
                return made
        return self._random.choice(self._values[declared])

    def _made(self, declared: str) -> str | None:
        draw = self._random
        match declared:
            case "integer" | "oid" | "bigint":
                return str(draw.randrange(2**31))
            case "numeric":
                whole = draw.randrange(10 ** draw.randrange(1, 40))
                return f"{draw.choice(('', '-'))}{whole}.{draw.randrange(10**9)}"
            case "double precision":
                return repr(draw.uniform(-1, 1) * 10 ** draw.randrange(-300, 300))
            case "real":
                return repr(draw.uniform(-1, 1) * 10 ** draw.randrange(-30, 30))
            case "text" | "text[]":
                text = "".join(draw.choice("aÄ💐\"\\ ,{}\n\t'") for _ in range(draw.randrange(40)))
                return text if declared == "text" else _array_of(text, draw.choice(("x", None)))
            case "bytea":
                return "\\x" + draw.randbytes(draw.choice((0, 3, 3000))).hex()
            case "timestamp":
                day = f"{draw.randrange(1, 9999):04d}-{draw.randrange(1, 13):02d}-01"
                return f"{day} 01:02:03.{draw.randrange(10**6):06d}"
            case "date":
                month, number = draw.randrange(1, 13), draw.randrange(1, 29)
                return f"{draw.randrange(1600, 99999):04d}-{month:02d}-{number:02d}"
            case "bit varying":
                return "".join(draw.choice("01") for _ in range(draw.randrange(100)))
        return None

    def _fields(self, table: RandomTable) -> dict[str, str]:
        fields = {name: literal(self._value(declared)) for name, declared in table.columns.items()}
        if table.key:
            fields["id"] = str(self._fresh())
        if "at" in table.key:
            fields["at"] = literal(self._random.choice(self._values[table.columns["at"]]))
        return fields

    def _fresh(self) -> int:
        self._next += 1
        return self._next

    def _insert(self, table: RandomTable) -> str:
        fields = self._fields(table)
        return f"INSERT INTO {quoted(table.name)} VALUES ({', '.join(fields.values())})"

    def _change(self) -> str:
        table = self._random.choice(self.tables)
        name, fields = quoted(table.name), self._fields(table)
        some = self._random.sample(list(fields), self._random.randrange(1, len(fields) + 1))
        place = f"ctid IN (SELECT ctid FROM {name} ORDER BY ctid LIMIT 1 OFFSET {self._random.randrange(9)})"
        match self._random.choice(("insert", "insert", "update", "update", "update", "delete", "rare")):
            case "insert":
                return self._insert(table)
            case "update":
                new = ", ".join(f"{quoted(column)} = {fields[column]}" for column in some)
                return f"UPDATE {name} SET {new} WHERE {place}"
            case "delete":
                return f"DELETE FROM {name} WHERE {place}"
        return (
            f"TRUNCATE {name}"
            if self._random.random() < 0.3
            else f"SAVEPOINT s; DELETE FROM {name}; ROLLBACK TO s"
        )


def distinct(names: Sequence[str]) -> list[str]:
    """The names without those that Avro would take for one that is there already."""
    seen: set[str] = {"id", "at"}
    kept = []
    for name in names:
        plain = field(name).lower()
        if plain not in seen:
            seen.add(plain)
            kept.append(name)
    return kept


def quoted(identifier: str) -> str:
    """The identifier as SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str | None) -> str:
    """The text, or NULL, as SQL."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def _array_of(*items: str | None) -> str:
    escaped = (
        "NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for item in items
    )
    return "{" + ",".join(escaped) + "}"
