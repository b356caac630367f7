"""What a random history does to tables and to what stands beside them."""

from __future__ import annotations

from tests.histories import named_objects, row_changes
from tests.histories.book import DEFAULTS, TYPES, Book, Table


def create(book: Book) -> list[str]:
    """A table, with a key in two of three cases."""
    columns = {book.name("c"): book.random.choice(list(TYPES)) for _ in range(book.random.randint(2, 5))}
    key = book.random.choice(("id int PRIMARY KEY", "id int PRIMARY KEY", "id int"))
    table = Table(book.name("t"), {"id": "int", **columns}, "id" if "KEY" in key else None)
    book.tables.append(table)
    rest = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return [f"CREATE TABLE {table.name} ({key}, {rest})"]


def create_partitioned(book: Book) -> list[str]:
    """A table of four partitions."""
    table = Table(book.name("p"), {"id": "int", "v": "text", "n": "int"}, "id")
    book.tables.append(table)
    made = [f"CREATE TABLE {table.name} (id int PRIMARY KEY, v text, n int) PARTITION BY RANGE (id)"]
    for low in (0, 1000, 2000):
        part = f"part{book.number}_{low}"
        table.partitions.append(part)
        made.append(
            f"CREATE TABLE {part} PARTITION OF {table.name} FOR VALUES FROM ({low}) TO ({low + 1000})"
        )
    return [*made, f"CREATE TABLE rest{book.number} PARTITION OF {table.name} DEFAULT"]


def create_filled(book: Book, _: Table) -> list[str]:
    """A new table and its first rows in one transaction."""
    made = create(book)
    return [*made, *row_changes.insert(book, book.tables[-1], 5)]


def add(book: Book, table: Table) -> list[str]:
    """A column, perhaps with a default, constant or volatile."""
    kind, name = book.random.choice(list(DEFAULTS)), book.name("c")
    default = book.random.choice(("", *(f" DEFAULT {each}" for each in DEFAULTS[kind])))
    table.columns[name] = kind
    return [f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}{default}"]


def add_computed(book: Book, table: Table) -> list[str]:
    """A column that PostgreSQL computes, or counts."""
    name = book.name("c")
    how = book.random.choice(
        ("bigint GENERATED ALWAYS AS (id * 2) STORED", "int GENERATED ALWAYS AS IDENTITY", "bigserial")
    )
    return [f"ALTER TABLE {table.name} ADD COLUMN {name} {how}"]


def drop(book: Book, table: Table) -> list[str]:
    """A column goes, and its name is free."""
    column = book.plain(table)
    if column is None:
        return add(book, table)
    del table.columns[column]
    book.spare.append(column)
    return [f"ALTER TABLE {table.name} DROP COLUMN {column} CASCADE"]


def again(book: Book, table: Table) -> list[str]:
    """A column goes and another comes under its name, in one command."""
    column = book.plain(table)
    if column is None:
        return add(book, table)
    table.columns[column] = kind = book.random.choice(list(TYPES))
    return [f"ALTER TABLE {table.name} DROP COLUMN {column} CASCADE, ADD COLUMN {column} {kind}"]


def rename(book: Book, table: Table) -> list[str]:
    """A column gets another name."""
    column = book.plain(table)
    if column is None:
        return add(book, table)
    name = book.name("c")
    table.columns = {name if each == column else each: kind for each, kind in table.columns.items()}
    book.spare.append(column)
    return [f"ALTER TABLE {table.name} RENAME COLUMN {column} TO {name}"]


def retype(book: Book, table: Table) -> list[str]:
    """A column gets another type, with USING or without."""
    column = book.plain(table)
    if column is None or len(TYPES.get(table.columns[column], ())) < 2:
        return add(book, table)
    kind = book.random.choice(TYPES[table.columns[column]][1:])
    table.columns[column] = kind if kind in TYPES else "text" if kind.startswith("varchar") else "numeric"
    if kind == "bigint[]":
        table.columns[column] = "int[]"
    using = f" USING {column}::text::{kind}" if book.random.random() < 0.5 else ""
    return [f"ALTER TABLE {table.name} ALTER COLUMN {column} TYPE {kind}{using}"]


def constrain(book: Book, table: Table) -> list[str]:
    """A default, a NOT NULL, a check, a unique index, a foreign key, or one of them away."""
    column, other = book.plain(table) or "id", book.pick()
    kind = table.columns.get(column, "int")
    number = book.random.randint(1, 10**6)
    default = f"SET DEFAULT {book.random.choice(DEFAULTS[kind])}" if kind in DEFAULTS else "DROP DEFAULT"
    what = [
        f"ALTER COLUMN {column} {default}",
        f"ALTER COLUMN {column} DROP DEFAULT",
        f"ALTER COLUMN {column} SET NOT NULL",
        f"ADD CONSTRAINT ck_{number} CHECK (id > -{number}) NOT VALID",
        f"ADD CONSTRAINT ck_{number} CHECK ({column} IS NOT NULL OR id < {number})",
        f"ADD CONSTRAINT un_{number} UNIQUE (id, {column})",
        f"ALTER COLUMN {column} SET STATISTICS {number % 100}",
    ]
    if other.key is not None:
        what.append(
            f"ADD CONSTRAINT fk_{number} FOREIGN KEY (id) REFERENCES {other.name} (id) ON DELETE CASCADE "
            "NOT VALID"
        )
    return [f"ALTER TABLE {table.name} {book.random.choice(what)}"]


def rekey(book: Book, table: Table) -> list[str]:
    """A table loses its key, or one that had none gets one."""
    if table.partitions:
        return constrain(book, table)
    if table.key is None:
        table.key = "id"
        return [
            f"DELETE FROM {table.name} a USING {table.name} b WHERE a.id = b.id AND a.ctid > b.ctid",
            f"DELETE FROM {table.name} WHERE id IS NULL",
            f"ALTER TABLE {table.name} ADD PRIMARY KEY (id)",
        ]
    table.key = None
    # The key has the name that PostgreSQL made of the table's first one.
    name = table.name.strip('"')
    return [f'ALTER TABLE {table.name} DROP CONSTRAINT "{name}_pkey" CASCADE']


def rename_table(book: Book, table: Table) -> list[str]:
    """A table gets another name."""
    old, table.name = table.name, book.name("t")
    book.spare.append(old)
    return [f"ALTER TABLE {old} RENAME TO {table.name}"]


def swap(book: Book, table: Table) -> list[str]:
    """Two tables get each other's name."""
    other = book.pick()
    if other is table:
        return index(book, table)
    table.name, other.name = other.name, table.name
    return [
        f"ALTER TABLE {other.name} RENAME TO between_names",
        f"ALTER TABLE {table.name} RENAME TO {other.name}",
        f"ALTER TABLE between_names RENAME TO {table.name}",
    ]


def drop_table(book: Book, table: Table) -> list[str]:
    """A table goes; sometimes another comes under its name in the same transaction."""
    if len(book.tables) < 3:
        return create(book)
    book.tables.remove(table)
    book.spare.append(table.name)
    gone = [f"DROP TABLE {table.name} CASCADE"]
    if book.random.random() < 0.3:
        made = Table(book.spare.pop(), {"id": "int", "v": "text"}, None)
        book.tables.append(made)
        gone += [f"CREATE TABLE {made.name} (id int, v text)", *row_changes.insert(book, made)]
    return gone


def copy(book: Book, table: Table) -> list[str]:
    """A table made of a query."""
    name = book.name("t")
    book.tables.append(Table(name, dict(table.columns), None, table.rows))
    return [f"CREATE TABLE {name} AS SELECT {', '.join(table.columns)} FROM {table.name}"]


def index(book: Book, table: Table) -> list[str]:
    """An index, whole or partial."""
    where = book.random.choice(("", " WHERE id > 3"))
    return [f"CREATE INDEX ON {table.name} ({book.random.choice(list(table.columns))}){where}"]


def partition(book: Book, table: Table) -> list[str]:
    """A partition goes, with its rows or to stand by itself, or comes back."""
    if table.loose and book.random.random() < 0.5:
        part = table.loose.pop()
        low = int(part.rsplit("_", 1)[1])
        book.tables[:] = [each for each in book.tables if each.name != part]
        table.partitions.append(part)
        return [f"ALTER TABLE {table.name} ATTACH PARTITION {part} FOR VALUES FROM ({low}) TO ({low + 1000})"]
    if not table.partitions:
        return index(book, table)
    part = table.partitions.pop()
    if book.random.random() < 0.3:
        return [f"DROP TABLE {part}"]
    if book.random.random() < 0.5:
        book.tables.append(Table(part, dict(table.columns), "id", 10))
    table.loose.append(part)
    return [f"ALTER TABLE {table.name} DETACH PARTITION {part}"]


def beside(book: Book, table: Table) -> list[str]:
    """What stands beside tables: views, functions, triggers, policies, grants, comments, types, sequences."""
    number = book.random.randint(1, 10**6)
    column = book.random.choice(list(table.columns))
    if book.views and book.random.random() < 0.4:
        return [f"DROP VIEW IF EXISTS {book.views.pop()} CASCADE"]
    what = (
        [f"CREATE VIEW v_{number} AS SELECT id, {column} AS c FROM {table.name}"],
        [f"CREATE FUNCTION f_{number}(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + {number}'"],
        [
            f"CREATE TRIGGER note_it AFTER INSERT OR DELETE ON {table.name} FOR EACH ROW "
            "EXECUTE FUNCTION note()"
        ],
        [f"DROP TRIGGER IF EXISTS note_it ON {table.name}"],
        [
            f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY p_{number} ON {table.name} USING (id <> {number})",
        ],
        [f"GRANT SELECT ON {table.name} TO pg_monitor"],
        [f"COMMENT ON COLUMN {table.name}.{column} IS 'it''s {number}'"],
        [f"ALTER TYPE mood ADD VALUE 'm{number}'"],
        [f"ALTER SEQUENCE tickets INCREMENT BY {1 + number % 5}", "SELECT nextval('tickets')"],
        [f"ALTER DOMAIN positive ADD CONSTRAINT ck_{number} CHECK (VALUE < 100000000)"],
    )
    chosen = book.random.choice(what)
    if chosen[0].startswith("CREATE VIEW"):
        book.views.append(f"v_{number}")
    return list(chosen)


def identity(book: Book, table: Table) -> list[str]:
    """What updates and deletes send of old rows is taken away, and rows change right after."""
    return [
        f"ALTER TABLE {table.name} REPLICA IDENTITY {book.random.choice(('DEFAULT', 'NOTHING'))}",
        *row_changes.update(book, table),
    ]


def aside(book: Book, table: Table) -> list[str]:
    """A table leaves what is captured, changes, and comes back."""
    if table.partitions:
        return index(book, table)
    bare = table.name
    return [
        f"ALTER TABLE {bare} SET SCHEMA aside",
        f"DELETE FROM aside.{bare} {book.some(table)}",
        f"ALTER TABLE aside.{bare} SET SCHEMA public",
    ]


def unlogged(book: Book, table: Table) -> list[str]:
    """A table is none of the log's for a while."""
    if table.partitions:
        return index(book, table)
    return [
        f"ALTER TABLE {table.name} SET UNLOGGED",
        *row_changes.insert(book, table),
        f"ALTER TABLE {table.name} SET LOGGED",
    ]


_KINDS = (
    *(add, add, drop, rename, retype, retype, again, rename_table, drop_table, create_filled, copy),
    *(swap, index, add_computed, constrain, constrain, constrain, rekey, beside, beside, beside),
    *(identity, aside, unlogged),
    *(
        named_objects.use,
        named_objects.use,
        named_objects.change,
        named_objects.change,
        named_objects.inherit,
    ),
)


def any_of(book: Book) -> list[str]:
    """A change of the schema, as statements of one transaction."""
    table = book.pick()
    parted = bool(table.partitions or table.loose)
    return book.random.choice(_KINDS + (partition,) * (5 if parted else 0))(book, table)
