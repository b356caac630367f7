"""What guests and their hosts do, each as one transaction over several tables.

Every function gets an open cursor inside a transaction and works on one wedding; the worker commits, or rolls
back when `AbandonedError` asks for it. The statements are those that change capture finds hard: keys that
change, cascades, checks at commit, savepoints that fail, rows without a key, NULL over a DEFAULT.
"""

from __future__ import annotations

import json
from random import Random

import psycopg

from demo import rows, words
from demo.statements import AbandonedError, Cursor, ids, insert, log, some_guests


def replies(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A household answers: its RSVPs are inserted or replaced, its guests' diets change."""
    codes = ids(cursor, "SELECT code FROM events WHERE wedding_id = %s ORDER BY code", wedding)
    for guest in some_guests(cursor, rng, wedding, 4):
        for code in codes:
            cursor.execute(
                "INSERT INTO rsvps "
                "(wedding_id, guest_id, event_code, answer, meal, replied_at, answers, message) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (wedding_id, guest_id, event_code) DO UPDATE SET answer = excluded.answer, "
                "meal = excluded.meal, replied_at = excluded.replied_at, "
                "answers = rsvps.answers || excluded.answers",
                rows.rsvp(rng, wedding, guest, str(code)),
            )
        diets = rows.maybe(rng, rng.sample(words.DIETS, rng.randrange(3)))
        cursor.execute("UPDATE guests SET dietary = %s, plus_ones = NULL WHERE id = %s", (diets, guest))
    log(cursor, rng, wedding)


def invite(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A new household with its guests."""
    household = insert(cursor, "households", rows.household(rng, None, wedding))
    for _ in range(rng.randrange(1, 5)):
        insert(cursor, "guests", rows.guest(rng, wedding, household))
    log(cursor, rng, wedding)


def uninvite(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A guest goes, and by cascade the RSVPs and the chair."""
    for guest in some_guests(cursor, rng, wedding, 1):
        cursor.execute("DELETE FROM guests WHERE id = %s", (guest,))
    log(cursor, rng, wedding)


def swap_seats(cursor: Cursor, rng: Random, wedding: int) -> None:
    """Two guests change places: unique at commit only."""
    taken = cursor.execute(
        "SELECT table_number, seat, guest_id FROM seats WHERE wedding_id = %s ORDER BY 1, 2 FOR UPDATE",
        (wedding,),
    ).fetchall()
    if len(taken) < 2:
        raise AbandonedError
    one, two = rng.sample(taken, 2)
    for place, guest in ((one, two[2]), (two, one[2])):
        cursor.execute(
            "UPDATE seats SET guest_id = %s WHERE wedding_id = %s AND table_number = %s AND seat = %s",
            (guest, wedding, place[0], place[1]),
        )


def move_chair(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A chair is carried to another table: its primary key changes and the guest stays on it."""
    chairs = cursor.execute(
        "SELECT table_number, seat FROM seats WHERE wedding_id = %s ORDER BY 1, 2 FOR UPDATE", (wedding,)
    ).fetchall()
    tables = sorted({str(chair[0]) for chair in chairs}, key=int)
    if not chairs:
        raise AbandonedError
    from_table, seat = rng.choice(chairs)
    cursor.execute(
        "UPDATE seats SET table_number = %s, seat = (SELECT max(seat) + 1 FROM seats WHERE wedding_id = %s) "
        "WHERE wedding_id = %s AND table_number = %s AND seat = %s",
        (int(rng.choice(tables)), wedding, wedding, from_table, seat),
    )
    log(cursor, rng, wedding)


def rename_event(cursor: Cursor, rng: Random, wedding: int) -> None:
    """An event's code changes, and with it the key of every RSVP to it."""
    codes = ids(cursor, "SELECT code FROM events WHERE wedding_id = %s ORDER BY code", wedding)
    if not codes:
        raise AbandonedError
    old = str(rng.choice(codes))
    new = f"{old.split('-', 1)[0]}-{rng.randrange(10**6)}"
    cursor.execute("UPDATE events SET code = %s WHERE wedding_id = %s AND code = %s", (new, wedding, old))
    log(cursor, rng, wedding)


def change_of_mind(cursor: Cursor, rng: Random, wedding: int) -> None:
    """One part is given up on purpose, one because a constraint refuses it; the rest is committed."""
    household = insert(cursor, "households", rows.household(rng, None, wedding))
    cursor.execute("SAVEPOINT second_thoughts")
    insert(cursor, "guests", rows.guest(rng, wedding, household))
    cursor.execute("ROLLBACK TO SAVEPOINT second_thoughts")
    guest = rows.guest(rng, wedding, household)
    insert(cursor, "guests", guest)
    cursor.execute("SAVEPOINT twice")
    try:
        insert(cursor, "guests", guest)
    except psycopg.errors.UniqueViolation:
        cursor.execute("ROLLBACK TO SAVEPOINT twice")
    cursor.execute("UPDATE guests SET notes = NULL WHERE id = %s", (guest[0],))


def tidy_activity(cursor: Cursor, rng: Random, wedding: int) -> None:
    """Rows without a key are deleted and changed, one of several identical ones among them."""
    cursor.execute(
        "DELETE FROM activity WHERE ctid IN "
        "(SELECT ctid FROM activity WHERE wedding_id = %s ORDER BY at LIMIT 2)",
        (wedding,),
    )
    cursor.execute(
        "UPDATE activity SET actor = NULL, detail = %s WHERE ctid IN "
        "(SELECT ctid FROM activity WHERE wedding_id = %s ORDER BY at DESC LIMIT 3)",
        (json.dumps({"by": rng.randrange(9)}), wedding),
    )
    log(cursor, rng, wedding)


def import_list(cursor: Cursor, rng: Random, wedding: int) -> None:
    """A guest list is uploaded; now and then the table is emptied first, in the same transaction."""
    if rng.random() < 0.15:
        # A reader keeps this lock for as long as it reads: give way instead of queueing others up behind us.
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        cursor.execute("TRUNCATE imports")
    names = rng.choices(words.LAST_NAMES, k=20)
    lines = [(wedding, rows.maybe(rng, f"{name}; {rng.randrange(9)}")) for name in names]
    cursor.executemany("INSERT INTO imports (wedding_id, line) VALUES (%s, %s)", lines)
