"""What expressions of tables name: functions, sequences, types, collations; made, used, renamed, dropped."""

from __future__ import annotations

from tests.histories import row_changes
from tests.histories.book import Book, Table

_MADE = {
    "FUNCTION": "CREATE FUNCTION {name}(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2'",
    "SEQUENCE": "CREATE SEQUENCE {name}",
    "TYPE": "CREATE TYPE {name} AS ENUM ('a', 'b', 'c')",
    "COLLATION": 'CREATE COLLATION {name} FROM "C"',
}
_USES = {
    "FUNCTION": (
        "ALTER TABLE {table} ADD CONSTRAINT ck_{number} CHECK ({name}(id) > -{number}) NOT VALID",
        "ALTER TABLE {table} ADD COLUMN {column} bigint DEFAULT {name}({number})",
        "ALTER TABLE {table} ADD COLUMN {column} bigint GENERATED ALWAYS AS ({name}(id)) STORED",
        "CREATE INDEX ix_{number} ON {table} ({name}(id)) WHERE {name}(id) > 2",
    ),
    "SEQUENCE": (
        "ALTER TABLE {table} ADD COLUMN {column} bigint DEFAULT nextval('{name}')",
        "ALTER TABLE {table} ALTER COLUMN id SET DEFAULT nextval('{name}')",
    ),
    "TYPE": (
        "ALTER TABLE {table} ADD COLUMN {column} {name} DEFAULT 'b'",
        "ALTER TABLE {table} ADD COLUMN {column} {name}[]",
        "ALTER TABLE {table} ADD COLUMN {column} text DEFAULT ('a'::{name})::text",
    ),
    "COLLATION": (
        "ALTER TABLE {table} ADD COLUMN {column} text COLLATE {name} DEFAULT 'z'",
        "CREATE INDEX ix_{number} ON {table} ((id::text) COLLATE {name})",
    ),
}


def use(book: Book, table: Table) -> list[str]:
    """Something that a new column, a default, a check or an index of the table names."""
    kind = book.random.choice(list(_MADE))
    there = book.named.setdefault(kind, [])
    made = []
    if not there or book.random.random() < 0.4:
        book.number += 1
        there.append(f"{kind[0].lower()}n{book.number}")
        made = [_MADE[kind].format(name=there[-1])]
    number = book.random.randint(1, 10**6)
    how = book.random.choice(_USES[kind])
    # The column is none that the book knows: rows get its default.
    words = {
        "table": table.name,
        "name": book.random.choice(there),
        "number": number,
        "column": f"n_{number}",
    }
    return [*made, how.format(**words)]


def change(book: Book, table: Table) -> list[str]:
    """One of them gets another name, leaves its schema and comes back, or goes with all that uses it."""
    kinds = [kind for kind, there in book.named.items() if there]
    if not kinds:
        return use(book, table)
    kind = book.random.choice(kinds)
    there = book.named[kind]
    name = there.pop(book.random.randrange(len(there)))
    what = book.random.random()
    if what < 0.25:
        return [f"DROP {kind} {name} CASCADE"]
    if what < 0.5:
        there.append(name)
        rows = row_changes.insert(book, table)
        return [
            f"ALTER {kind} {name} SET SCHEMA aside",
            *rows,
            f"ALTER {kind} aside.{name} SET SCHEMA public",
        ]
    book.number += 1
    there.append(f"{kind[0].lower()}n{book.number}")
    return [f"ALTER {kind} {name} RENAME TO {there[-1]}"]


def inherit(book: Book, table: Table) -> list[str]:
    """A table that inherits from this one, and a change of the parent that its child takes part in."""
    if table.partitions or table.loose:
        return use(book, table)
    child = Table(book.name("t"), dict(table.columns), None)
    book.tables.append(child)
    number = book.random.randint(1, 10**6)
    after = book.random.choice(
        (
            f"ALTER TABLE {table.name} ADD COLUMN n_{number} int DEFAULT 5",
            f"ALTER TABLE {table.name} ADD CONSTRAINT ck_{number} CHECK (id <> -{number})",
            f"ALTER TABLE {child.name} NO INHERIT {table.name}",
            f"ALTER TABLE {table.name} ALTER COLUMN id SET STATISTICS 7",
        )
    )
    made = f"CREATE TABLE {child.name} () INHERITS ({table.name})"
    return [made, *row_changes.insert(book, child, 3), after]
