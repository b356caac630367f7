"""What a random history does to rows."""

from __future__ import annotations

from tests.histories.book import Book, Table


def insert(book: Book, table: Table, count: int | None = None) -> list[str]:
    """New rows behind all others; every fifth value is NULL."""
    count = count or book.random.randint(1, 6)
    first, table.rows = table.rows + 1, table.rows + count
    values = ", ".join(
        "n" if name == "id" else f"CASE WHEN n % 5 = 0 THEN NULL ELSE {book.value(kind, 'n')} END"
        for name, kind in table.columns.items()
    )
    step = table.step
    return [
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) "
        f"SELECT {values} FROM generate_series({first * step}, {table.rows * step}, {step}) n"
    ]


def update(book: Book, table: Table) -> list[str]:
    """Another value in one column of some rows."""
    column = book.plain(table)
    if column is None:
        return insert(book, table)
    kind = table.columns[column]
    values = [book.value(kind, book.random.randint(1, 999)), "NULL", column]
    if kind == "text":
        values.append(f"repeat(md5('{book.random.random()}'), 400)")
    return [f"UPDATE {table.name} SET {column} = {book.random.choice(values)} {book.some(table)}"]


def move_keys(book: Book, table: Table) -> list[str]:
    """Rows get other keys; of a partitioned table they may move between partitions."""
    table.rows += 40
    return [f"UPDATE {table.name} SET id = id + {table.rows * table.step} {book.some(table)}"]


def swap_keys(book: Book, table: Table) -> list[str]:
    """Two rows get each other's key."""
    one = book.random.randint(1, max(table.rows, 2)) * table.step
    other = one + table.step
    return [
        f"UPDATE {table.name} SET id = -1 WHERE id = {one}",
        f"UPDATE {table.name} SET id = {one} WHERE id = {other}",
        f"UPDATE {table.name} SET id = {other} WHERE id = -1",
    ]


def delete(book: Book, table: Table) -> list[str]:
    """Some rows go."""
    return [f"DELETE FROM {table.name} {book.some(table)}"]


def come_back(book: Book, table: Table) -> list[str]:
    """Rows go and others come under their keys."""
    where = book.some(table)
    low = where.split(" ")[3]
    return [
        f"DELETE FROM {table.name} {where}",
        f"INSERT INTO {table.name} (id) SELECT n FROM generate_series({low}, {int(low) + table.step}, "
        f"{table.step}) n",
    ]


def truncate(book: Book, table: Table) -> list[str]:
    """All rows go, perhaps those of others as well."""
    more = book.random.choice(("", "", " CASCADE", " RESTART IDENTITY CASCADE"))
    names = {table.name, book.pick().name if book.random.random() < 0.3 else table.name}
    return [f"TRUNCATE {', '.join(sorted(names))}{more}"]


def upsert(book: Book, table: Table) -> list[str]:
    """Rows that are there already are changed, the others made."""
    column = book.plain(table)
    if column is None or table.key is None:
        return double(book, table)
    value = book.value(table.columns[column], "n")
    low = book.random.randint(0, table.rows + 2) * table.step
    rows = f"SELECT n, {value} FROM generate_series({low}, {low + 2 * table.step}, {table.step}) n"
    how = book.random.choice((f"UPDATE SET {column} = excluded.{column}", "NOTHING"))
    return [f"INSERT INTO {table.name} (id, {column}) {rows} ON CONFLICT (id) DO {how}"]


def double(book: Book, table: Table) -> list[str]:
    """The same rows once more (where there is no key), and one of several equal ones away."""
    names = ", ".join(table.columns)
    return [
        book.random.choice(
            (
                f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {table.name} {book.some(table)}",
                f"DELETE FROM {table.name} WHERE (tableoid, ctid) IN (SELECT tableoid, max(ctid) "
                f"FROM {table.name} GROUP BY tableoid, id HAVING count(*) > 1)",
            )
        )
    ]


def undone(book: Book, table: Table) -> list[str]:
    """Changes that a savepoint takes back, around one that stays."""
    gone = book.random.choice((delete, update, move_keys))(book, table)
    return ["SAVEPOINT here", *gone, "ROLLBACK TO here", *update(book, table), "RELEASE here"]


_KINDS = (
    *([insert] * 5),
    *([update] * 6),
    *([move_keys] * 2),
    *([delete] * 3),
    *(swap_keys, come_back, upsert, upsert, double, undone, truncate),
)


def any_of(book: Book) -> list[str]:
    """A change of rows, as statements of one transaction."""
    return book.random.choice(_KINDS)(book, book.pick())


def single(book: Book) -> str:
    """One statement, for somebody who works at the same time."""
    return book.random.choice((insert, update, move_keys, delete, upsert, double))(book, book.pick())[0]
