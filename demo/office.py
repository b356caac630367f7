"""What the planners, the photographers and the accountant do, each as one transaction over several tables.

As in `demo.guests`; the hard parts here are rows that move between partitions, TOAST values that stay as they
were, triggers that write to another table, and a transaction that does much and is rolled back.
"""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from random import Random

from demo import rows
from demo.guests import uninvite
from demo.statements import AbandonedError, Cursor, ids, insert, log, some_guests


def book(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A vendor is booked, the budget is changed, and a first payment made."""
    vendors = ids(cursor, "SELECT max(id) FROM vendors")
    vendor = rng.randrange(1, int(str(vendors[0])) + 1)
    booking = insert(cursor, "bookings", rows.booking(rng, None, wedding, vendor, None))
    if rng.random() < 0.6:
        insert(cursor, "payments", rows.payment(rng, None, wedding, booking, rows.money(rng, 10, 900)))
    insert(cursor, "budget_lines", rows.budget_line(rng, None, wedding))
    cursor.execute(
        "UPDATE budget_lines SET actual = coalesce(actual, 0) + %s WHERE id = "
        "(SELECT id FROM budget_lines WHERE wedding_id = %s ORDER BY id LIMIT 1)",
        (rows.money(rng, 1, 500), wedding),
    )
    log(cursor, rng, wedding)


def pay(cursor: Cursor, rng: Random, wedding: int) -> None:
    """Payments for a booking, or a refund of part of it; `bookings.paid` follows by trigger."""
    found = cursor.execute(
        "SELECT id FROM bookings WHERE wedding_id = %s ORDER BY id DESC LIMIT 20", (wedding,)
    ).fetchall()
    if not found:
        raise AbandonedError
    booking = int(str(rng.choice(found)[0]))
    for _ in range(rng.randrange(1, 3)):
        amount = rows.money(rng, 5, 400) if rng.random() < 0.8 else Decimal("-12.50")
        insert(cursor, "payments", rows.payment(rng, None, wedding, booking, amount))
    cursor.execute("UPDATE bookings SET status = 'signed', deposit = NULL WHERE id = %s", (booking,))


def redate_payment(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A payment gets another date and may move to another partition; another one is deleted."""
    found = ids(
        cursor,
        "SELECT id FROM payments WHERE booking_id IN "
        "(SELECT id FROM bookings WHERE wedding_id = %s) ORDER BY id",
        wedding,
    )
    if len(found) < 2:
        raise AbandonedError
    moved, deleted = rng.sample(found, 2)
    day = rows.TODAY + timedelta(days=rng.randrange(-700, 560))
    cursor.execute("UPDATE payments SET paid_on = %s WHERE id = %s", (day, moved))
    if rng.random() < 0.3:
        cursor.execute("DELETE FROM payments WHERE id = %s", (deleted,))
    log(cursor, rng, wedding)


def upload_photos(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A guest's phone uploads a few photos."""
    guests = some_guests(cursor, rng, wedding, 5)
    for _ in range(rng.randrange(1, 7)):
        insert(cursor, "photos", rows.photo(rng, wedding, guests))
    log(cursor, rng, wedding)


def curate_photos(cursor: Cursor, rng: Random, wedding: int) -> None:
    """Stars are given, thumbnails stay untouched where they are; the worst photos go."""
    cursor.execute(
        "UPDATE photos SET stars = %s, flag = 'y' WHERE id IN "
        "(SELECT id FROM photos WHERE wedding_id = %s ORDER BY id LIMIT 6)",
        (rows.maybe(rng, rng.randrange(6)), wedding),
    )
    cursor.execute("DELETE FROM photos WHERE wedding_id = %s AND stars = 0", (wedding,))
    log(cursor, rng, wedding)


def edit_document(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A document gets a new title while its long text stays; sometimes a new text, or a new document."""
    found = ids(cursor, "SELECT id FROM documents WHERE wedding_id = %s ORDER BY id", wedding)
    if not found or rng.random() < 0.2:
        insert(cursor, "documents", rows.document(rng, None, wedding))
        return
    document = rng.choice(found)
    cursor.execute(
        "UPDATE documents SET title = %s, version = version + 1, updated_at = clock_timestamp() "
        "WHERE id = %s",
        (f"Plan {rng.randrange(10**6)}", document),
    )
    if rng.random() < 0.3:
        cursor.execute("UPDATE documents SET body = %s WHERE id = %s", (rows.document_body(rng), document))


def plan(cursor: Cursor, rng: Random, wedding: int) -> None:
    """The wedding's own row changes, some of it to NULL; tasks are added, ticked off, or dropped."""
    style = json.dumps({"tent": rng.random() < 0.5, f"idea {rng.randrange(5)}": rng.random()})
    cursor.execute(
        "UPDATE weddings SET style = coalesce(style, '{}') || %s::jsonb, budget = %s, guest_target = %s, "
        "notes = %s WHERE id = %s",
        (
            style,
            rows.maybe(rng, rows.money(rng, 1000, 50000)),
            rows.maybe(rng, 99),
            rows.maybe(rng, "call"),
            wedding,
        ),
    )
    insert(cursor, "tasks", rows.task(rng, None, wedding, None))
    cursor.execute(
        "UPDATE tasks SET done = NOT done WHERE wedding_id = %s AND weight > %s",
        (wedding, rng.random() * 1e9),
    )
    if rng.random() < 0.2:
        cursor.execute(
            "DELETE FROM tasks WHERE id = (SELECT id FROM tasks WHERE wedding_id = %s ORDER BY id LIMIT 1)",
            (wedding,),
        )


def measure(cursor: Cursor, rng: Random, wedding: int) -> None:
    """Sensors report; old lines go."""
    for _ in range(rng.randrange(1, 4)):
        insert(cursor, "readings", rows.reading(rng, None, wedding))
    cursor.execute(
        "DELETE FROM readings WHERE wedding_id = %s AND id < (SELECT max(id) - 400 FROM readings)", (wedding,)
    )


def abandoned(cursor: Cursor, rng: Random, wedding: int) -> None:
    """Everything is done, and then the browser is closed."""
    book(cursor, rng, wedding)
    uninvite(cursor, rng, wedding)
    raise AbandonedError
