"""What is true at every commit of the demo's database, and therefore in every restore of it."""

from __future__ import annotations

from typing import LiteralString

import psycopg

RULES: dict[str, LiteralString] = {
    "a booking's `paid` is the sum of its payments": (
        "SELECT b.id FROM bookings b "
        "LEFT JOIN (SELECT booking_id, sum(amount) AS total FROM payments GROUP BY 1) p "
        "ON p.booking_id = b.id WHERE b.paid <> coalesce(p.total, 0)"
    ),
    "`outstanding` is what is left of the price": "SELECT id FROM bookings WHERE outstanding <> price - paid",
    "a payment belongs to its booking's wedding": (
        "SELECT p.id FROM payments p JOIN bookings b ON b.id = p.booking_id "
        "WHERE p.wedding_id <> b.wedding_id"
    ),
    "a guest sits on one chair of the own wedding": (
        "SELECT s.guest_id FROM seats s JOIN guests g ON g.id = s.guest_id GROUP BY s.guest_id "
        "HAVING count(*) > 1 OR bool_or(s.wedding_id <> g.wedding_id)"
    ),
    "an answer has the moment at which it was given": (
        "SELECT guest_id FROM rsvps WHERE answer <> 'pending' AND replied_at IS NULL"
    ),
}
"""Each rule with a query that finds what breaks it."""


def violations(connection: psycopg.Connection) -> list[str]:
    """The rules that don't hold, each with the first ids that break it; empty when all is well."""
    broken = []
    for rule, query in RULES.items():
        found = connection.execute(query).fetchall()
        if found:
            broken.append(
                f"{rule}: {len(found)} rows break it, first {', '.join(str(row[0]) for row in found[:5])}"
            )
    return broken
