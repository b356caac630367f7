"""How often each kind of transaction happens, on a quiet day and on a wedding day."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from demo import guests, office
from demo.statements import Cursor

Transaction = Callable[[Cursor, Random, int], None]

QUIET: dict[Transaction, int] = {
    guests.replies: 14, guests.invite: 10, office.book: 10, office.pay: 12, office.redate_payment: 6,
    office.upload_photos: 8, office.curate_photos: 6, office.edit_document: 8, office.plan: 10,
    office.measure: 4, guests.tidy_activity: 6, guests.uninvite: 3, guests.change_of_mind: 4,
    office.abandoned: 2, guests.import_list: 3, guests.swap_seats: 5, guests.move_chair: 3,
    guests.rename_event: 1,
}  # fmt: skip
"""Weights; all of the company's weddings alike."""

WEDDING_DAY: dict[Transaction, int] = {
    guests.replies: 8, office.upload_photos: 40, office.curate_photos: 10, guests.swap_seats: 14,
    guests.move_chair: 8, office.measure: 10, office.pay: 4, office.plan: 4, guests.tidy_activity: 2,
}  # fmt: skip
"""Weights of what happens to the one wedding that is today."""
