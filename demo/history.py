"""The company's past: a seeded, believable history, written with COPY."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
from psycopg import sql

from demo import columns, rows, words

SCHEMA = Path(__file__).with_name("schema.sql")
ROWS_PER_WEDDING = 187
"""What a wedding comes to on average, all tables together; turns a wish in rows into a number of weddings."""

_CHUNK = 50
_TABLES: dict[str, tuple[str, ...]] = {
    "weddings": columns.WEDDING,
    "households": columns.HOUSEHOLD,
    "guests": columns.GUEST,
    "events": columns.EVENT,
    "rsvps": columns.RSVP,
    "seating_tables": ("wedding_id", "number", "label", "seats"),
    "seats": ("wedding_id", "table_number", "seat", "guest_id"),
    "vendors": columns.VENDOR,
    "favourite_vendors": ("vendor_id", "wedding_id", "order", "added_at"),
    "bookings": columns.BOOKING,
    "payments": columns.PAYMENT,
    "budget_lines": columns.BUDGET_LINE,
    "photos": columns.PHOTO,
    "documents": columns.DOCUMENT,
    "tasks": columns.TASK,
    "readings": columns.READING,
    "activity": columns.ACTIVITY,
}
_NUMBERED = (
    "weddings",
    "households",
    "vendors",
    "bookings",
    "payments",
    "budget_lines",
    "documents",
    "tasks",
    "readings",
)


@dataclass(slots=True)
class _Batch:
    """Rows of several weddings by table, and the numbers given out so far."""

    rng: Random
    vendors: int
    tables: dict[str, list[rows.Row]] = field(default_factory=lambda: {name: [] for name in _TABLES})
    next_id: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_NUMBERED, 1))

    def number(self, table: str) -> int:
        self.next_id[table] += 1
        return self.next_id[table] - 1


def install_schema(connection: psycopg.Connection) -> None:
    """Create the demo's types, tables, triggers and views in an empty database."""
    connection.execute(SCHEMA.read_bytes())


def load(connection: psycopg.Connection, wanted_rows: int, seed: int) -> int:
    """Fill the schema with about `wanted_rows` rows and return how many it wrote.

    One transaction a batch of weddings, so that a captured database sees a history of commits. The trigger on
    payments is off meanwhile: `bookings.paid` is written with its final value.
    """
    rng = Random(seed)
    batch = _Batch(rng, vendors=max(40, wanted_rows // 2000))
    batch.tables["vendors"] = [rows.vendor(rng, batch.number("vendors")) for _ in range(batch.vendors)]
    weddings = max(3, wanted_rows // ROWS_PER_WEDDING)
    with connection.transaction():
        connection.execute("ALTER TABLE payments DISABLE TRIGGER payments_booked")
    written = 0
    for first in range(0, weddings, _CHUNK):
        for _ in range(min(_CHUNK, weddings - first)):
            _wedding(batch)
        written += _write(connection, batch)
    with connection.transaction():
        connection.execute("ALTER TABLE payments ENABLE TRIGGER payments_booked")
        _set_sequences(connection)
        connection.execute("ANALYZE")
    return written


def _write(connection: psycopg.Connection, batch: _Batch) -> int:
    written = 0
    with connection.transaction(), connection.cursor() as cursor:
        for table, names in _TABLES.items():
            pending = batch.tables[table]
            if not pending:
                continue
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
            )
            with cursor.copy(statement) as copy:
                for row in pending:
                    copy.write_row(row)
            written += len(pending)
            batch.tables[table] = []
    return written


def _set_sequences(connection: psycopg.Connection) -> None:
    for table in _NUMBERED:
        connection.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), (SELECT max(id) FROM {}))").format(
                sql.Literal(table), sql.Identifier(table)
            )
        )
    connection.execute("SELECT setval('invoice_number', (SELECT max(invoice) FROM bookings))")


def _wedding(batch: _Batch) -> None:
    rng, tables = batch.rng, batch.tables
    number = batch.number("weddings")
    tables["weddings"].append(rows.wedding(rng, number))
    guests = list(_households(batch, number))
    codes = [words.EVENTS[kind][0] for kind in range(rng.randrange(1, 5))]
    tables["events"] += [rows.event(rng, number, kind) for kind in range(len(codes))]
    tables["rsvps"] += [
        rows.rsvp(rng, number, guest, code) for guest in guests for code in codes if rng.random() < 0.9
    ]
    _seating(batch, number, guests)
    _bookings(batch, number)
    tables["budget_lines"] += [
        rows.budget_line(rng, batch.number("budget_lines"), number) for _ in range(rng.randrange(2, 12))
    ]
    tables["photos"] += [rows.photo(rng, number, guests) for _ in range(rng.randrange(0, 20))]
    tables["documents"] += [
        rows.document(rng, batch.number("documents"), number) for _ in range(rng.randrange(0, 4))
    ]
    parent: int | None = None
    for _ in range(rng.randrange(2, 10)):
        task = batch.number("tasks")
        tables["tasks"].append(rows.task(rng, task, number, parent))
        parent = rng.choice((None, parent, task))
    tables["readings"] += [
        rows.reading(rng, batch.number("readings"), number) for _ in range(rng.randrange(0, 5))
    ]
    tables["activity"] += [rows.activity(rng, number) for _ in range(rng.randrange(5, 30))]


def _households(batch: _Batch, wedding: int) -> Iterator[UUID]:
    rng = batch.rng
    for _ in range(rng.randrange(6, 18)):
        household = batch.number("households")
        batch.tables["households"].append(rows.household(rng, household, wedding))
        for _ in range(rng.randrange(1, 5)):
            guest = rows.guest(rng, wedding, household)
            batch.tables["guests"].append(guest)
            yield guest[0]


def _seating(batch: _Batch, wedding: int, guests: Sequence[UUID]) -> None:
    rng = batch.rng
    waiting = list(guests)
    rng.shuffle(waiting)
    for table in range(1, rng.randrange(2, 7)):
        batch.tables["seating_tables"].append((wedding, table, rows.maybe(rng, f"Table {table}"), 8))
        for seat in range(1, 9):
            taken = waiting.pop() if waiting and rng.random() < 0.8 else None
            batch.tables["seats"].append((wedding, table, seat, taken))


def _bookings(batch: _Batch, wedding: int) -> None:
    rng, tables = batch.rng, batch.tables
    for vendor in rng.sample(range(1, batch.vendors + 1), rng.randrange(1, 9)):
        number = batch.number("bookings")
        row = list(rows.booking(rng, number, wedding, vendor, 100000 + 7 * number))
        paid = Decimal("0.00")
        for _ in range(rng.choice((0, 1, 2, 3))):
            amount = rows.money(rng, 10, 900)
            paid += amount
            tables["payments"].append(rows.payment(rng, batch.number("payments"), wedding, number, amount))
        row[columns.BOOKING.index("paid")] = paid
        tables["bookings"].append(tuple(row))
        if rng.random() < 0.3:
            tables["favourite_vendors"].append(
                (vendor, wedding, rows.maybe(rng, rng.randrange(9)), rows.maybe(rng, rows.moment(rng)))
            )


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `build` wrote, and how long it took."""

    rows: int
    seconds: float


def build(dsn: str, wanted_rows: int, seed: int) -> Loaded:
    """Install the schema in the empty database at `dsn` and load the history."""
    start = time.monotonic()
    with psycopg.connect(dsn) as connection:
        install_schema(connection)
        connection.commit()
        written = load(connection, wanted_rows, seed)
    return Loaded(written, time.monotonic() - start)
