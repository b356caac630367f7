"""Schema changes that only add, run in the middle of the traffic as a release would."""

from __future__ import annotations

import psycopg

STATEMENTS = (
    "CREATE TABLE thank_you_notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "wedding_id bigint NOT NULL REFERENCES weddings ON DELETE CASCADE, guest_id uuid, "
    "text text DEFAULT 'Thank you!', sent_at timestamptz DEFAULT now())",
    "CREATE INDEX thank_you_notes_wedding ON thank_you_notes (wedding_id)",
    "ALTER TABLE guests ADD COLUMN thanked boolean NOT NULL DEFAULT false",
    # The server stores the moment of this command for all rows that are there: no replay could guess it.
    "ALTER TABLE guests ADD COLUMN thanks_checked_at timestamptz DEFAULT now()",
    "ALTER TABLE vendors ADD COLUMN insured_until date",
    "INSERT INTO thank_you_notes (wedding_id, guest_id, text) "
    "SELECT wedding_id, id, NULL FROM guests ORDER BY id LIMIT 25",
)


def apply(connection: psycopg.Connection) -> bool:
    """Run them in one transaction; False when a lock wasn't free within a second and nothing was done."""
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            for statement in STATEMENTS:
                connection.execute(statement)
    except psycopg.errors.LockNotAvailable:
        return False
    return True
