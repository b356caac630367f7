"""The columns of each kind of row that the generator fills, in the order of its values."""

from __future__ import annotations

WEDDING = (
    "id", "code", "title", "partners", "status", "wedding_date", "ceremony_at", "currency", "budget",
    "guest_target", "headcount", "time_zone", "style", "tags", "notes", "discount", "portal_open",
    "created_at", "updated_at",
)  # fmt: skip
HOUSEHOLD = ("id", "wedding_id", "name", "address", "postcode", "phone", "language", "invited_on")
GUEST = (
    "id", "wedding_id", "household_id", "first_name", "last_name", "email", "side", "dietary", "plus_ones",
    "is_child", "born_on", "needs", "notes", "created_at",
)  # fmt: skip
EVENT = ("wedding_id", "code", "name", "local_time", "dress_code", "capacity")
RSVP = ("wedding_id", "guest_id", "event_code", "answer", "meal", "replied_at", "answers", "message")
VENDOR = (
    "id", "name", "category", "email", "rating", "latitude", "longitude", "hourly_rate", "capacity",
    "season", "price_range", "services", "account", "office_network", "minimum_fee", "active",
)  # fmt: skip
BOOKING = (
    "id", "wedding_id", "vendor_id", "status", "invoice", "during", "price", "deposit", "paid", "terms",
    "signed_by", "signature", "created_at",
)  # fmt: skip
PAYMENT = (
    "id", "paid_on", "wedding_id", "booking_id", "amount", "method", "card_digits", "fx_rate", "fee",
    "receipt", "booked_at",
)  # fmt: skip
BUDGET_LINE = ("id", "wedding_id", "category", "label", "planned", "actual", "share", "fixed")
PHOTO = (
    "id", "wedding_id", "object_key", "sha256", "bytes", "width", "height", "taken_at", "camera_time",
    "exposure", "thumbnail", "exif", "people", "stars", "flag", "device", "uploaded_from", "created_at",
)  # fmt: skip
DOCUMENT = ("id", "wedding_id", "kind", "title", "body", "metadata", "version", "pages", "updated_at")
TASK = (
    "id", "wedding_id", "parent_id", "title", "due_on", "at_time", "takes", "done", "depends_on", "weight",
)  # fmt: skip
READING = (
    "id", "wedding_id", "sensor", "measured_at", "valid_until", "celsius", "decibel", "humidity", "samples",
    "levels", "prices", "switches", "state", "object",
)  # fmt: skip
ACTIVITY = ("at", "wedding_id", "actor", "action", "detail")
