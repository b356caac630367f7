"""One believable row of each kind, from a seeded generator: pure, so that a seed is a history.

Each function returns the values of the columns that `demo.columns` lists under its name, ready for COPY or
INSERT. Columns with a DEFAULT are NULL now and then on purpose: change capture loses that most easily.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar
from uuid import UUID

from psycopg.types.range import Range

from demo import words

T = TypeVar("T")
Row = tuple[object, ...]

TODAY = date(2026, 6, 1)
"""The day on which the generated company lives; fixed, so that a seed gives the same rows on any day."""


def uuid(rng: Random) -> UUID:
    """A version 4 UUID from this generator."""
    return UUID(int=rng.getrandbits(128), version=4)


def maybe(rng: Random, value: T, missing: float = 0.15) -> T | None:
    """The value, or None with the given probability."""
    return None if rng.random() < missing else value


def money(rng: Random, low: int, high: int) -> Decimal:
    """An amount with two places."""
    return Decimal(rng.randrange(low * 100, high * 100)).scaleb(-2)


def moment(rng: Random, days_back: int = 500) -> datetime:
    """A moment in the past of TODAY, to the microsecond."""
    seconds = rng.random() * days_back * 86400
    start = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    return start - timedelta(seconds=int(seconds), microseconds=rng.randrange(10**6))


def wedding(rng: Random, number: int) -> Row:
    """A wedding between a year ago and a year from now."""
    first, second = rng.choice(words.FIRST_NAMES), rng.choice(words.FIRST_NAMES)
    day = TODAY + timedelta(days=rng.randrange(-365, 400))
    open_status = rng.choice(("lead", "planning", "planning", "confirmed", "cancelled"))
    target = rng.randrange(20, 220)
    style = {
        "kind": rng.choice(words.STYLES),
        "colours": rng.sample(words.COLOURS, 2),
        "tent": rng.random() < 0.5,
    }
    return (
        number, f"W{number:06d}", f"{first} & {second}", [first, second],
        "celebrated" if day < TODAY else open_status, maybe(rng, day, 0.05),
        maybe(rng, datetime(day.year, day.month, day.day, rng.randrange(11, 18), 30, tzinfo=UTC), 0.1),
        maybe(rng, rng.choice(("EUR", "EUR", "SEK", "PLN", "GBP"))), maybe(rng, money(rng, 4000, 90000)),
        maybe(rng, target), maybe(rng, Range(target // 2, target, "[)")),
        maybe(rng, rng.choice(words.ZONES)), maybe(rng, json.dumps(style)),
        maybe(rng, rng.sample(words.STYLES, rng.randrange(3))), maybe(rng, rng.choice(words.MESSAGES), 0.3),
        maybe(rng, Decimal(rng.randrange(1, 2000)) / 1000, 0.6), maybe(rng, True), moment(rng),
        maybe(rng, moment(rng, 90)),
    )  # fmt: skip


def household(rng: Random, number: int | None, wedding_id: int) -> Row:
    """A household that is invited to a wedding."""
    name = rng.choice(words.LAST_NAMES)
    city = rng.choice(words.CITIES)
    street = f"{name} Street {rng.randrange(1, 200)}"
    address = {"street": street, "city": city, "floor": maybe(rng, rng.randrange(9))}
    return (
        number, wedding_id, f"Family {name}", maybe(rng, json.dumps(address, ensure_ascii=False)),
        maybe(rng, f"{rng.randrange(10000, 99999)}"), maybe(rng, f"+49 {rng.randrange(10**9, 10**10)}"),
        maybe(rng, rng.choice(words.LANGUAGES)), maybe(rng, TODAY - timedelta(days=rng.randrange(1, 300))),
    )  # fmt: skip


def guest(rng: Random, wedding_id: int, household_id: int) -> tuple[UUID, *tuple[object, ...]]:
    """A guest; the first value is the new guest's id."""
    first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
    child = rng.random() < 0.15
    diets = rng.sample(words.DIETS, rng.choice((0, 0, 0, 1, 2)))
    born = date(rng.randrange(2014, 2026) if child else rng.randrange(1931, 2008), rng.randrange(1, 13), 11)
    needs = {"wheelchair": rng.random() < 0.02, "seat near": rng.choice((None, "door", "band"))}
    email = f"guest{rng.getrandbits(40):x}@example.org"
    return (
        uuid(rng), wedding_id, household_id, first, last, None if child else maybe(rng, email),
        rng.choice(("partner one", "partner two", "both")), maybe(rng, diets),
        maybe(rng, 0 if child else rng.choice((0, 0, 1))), maybe(rng, child), maybe(rng, born, 0.5),
        maybe(rng, json.dumps(needs)), maybe(rng, rng.choice(words.MESSAGES), 0.5), moment(rng, 300),
    )  # fmt: skip


def event(rng: Random, wedding_id: int, kind: int) -> Row:
    """One of a wedding's events."""
    code, name, hour, hours = words.EVENTS[kind]
    start = datetime(TODAY.year, TODAY.month, 1) + timedelta(days=rng.randrange(300), hours=hour)
    window = Range(start, start + timedelta(hours=hours), "[)")
    dress = maybe(rng, "black tie", 0.5)
    return wedding_id, code, name, maybe(rng, window, 0.1), dress, maybe(rng, rng.randrange(40, 300))


def rsvp(rng: Random, wedding_id: int, guest_id: UUID, event_code: str) -> Row:
    """A guest's answer for one event."""
    answer = rng.choice(("pending", "yes", "yes", "yes", "no", "maybe"))
    replied = None if answer == "pending" else moment(rng, 120)
    return (
        wedding_id, guest_id, event_code, answer, maybe(rng, rng.choice(words.MEALS)), replied,
        maybe(rng, json.dumps({"song": rng.choice(words.STYLES), "n": rng.randrange(5)})),
        maybe(rng, rng.choice(words.MESSAGES), 0.7),
    )  # fmt: skip


def vendor(rng: Random, number: int) -> Row:
    """A vendor; vendors are shared by all weddings."""
    low = rng.randrange(50, 4000)
    prices = Range(Decimal(low), None, "[)") if low % 5 == 0 else Range(Decimal(low), Decimal(low) * 3, "(]")
    opens = date(2026, rng.randrange(1, 7), 1)
    return (
        number, f"{rng.choice(words.LAST_NAMES)} & Co. {number}", rng.choice(words.CATEGORIES),
        maybe(rng, f"office{number}@example.com"), maybe(rng, round(rng.uniform(1, 5), 2)),
        maybe(rng, rng.uniform(-60, 60)), maybe(rng, rng.uniform(-180, 180)),
        maybe(rng, Decimal(rng.randrange(20000, 400000)).scaleb(-3)),
        maybe(rng, Range(rng.randrange(1, 20), rng.randrange(60, 500), "[)")),
        maybe(rng, Range(opens, opens + timedelta(days=rng.randrange(30, 200)), "[)")), maybe(rng, prices),
        maybe(rng, rng.sample(words.SERVICES, rng.randrange(4))), maybe(rng, f"192.0.2.{number % 250}/32"),
        maybe(rng, f"198.51.{number % 200}.0/24"), maybe(rng, str(money(rng, 10, 900))), maybe(rng, True),
    )  # fmt: skip


def booking(rng: Random, number: int | None, wedding_id: int, vendor_id: int, invoice: int | None) -> Row:
    """A vendor booked for a wedding, nothing paid yet."""
    start = moment(rng, 300)
    price = money(rng, 200, 12000)
    during = Range(start, start + timedelta(hours=rng.randrange(2, 30)), "[)")
    terms = "".join(rng.choices(words.CLAUSES, k=rng.choice((0, 2, 60))))
    status = rng.choice(("inquiry", "offered", "signed", "signed", "done", "cancelled"))
    return (
        number, wedding_id, vendor_id, status, invoice, during, price, maybe(rng, money(rng, 50, 150)),
        Decimal("0.00"), maybe(rng, terms), maybe(rng, uuid(rng), 0.5),
        maybe(rng, rng.randbytes(rng.choice((0, 48, 300))), 0.5), moment(rng, 300),
    )  # fmt: skip


def payment(rng: Random, number: int | None, wedding_id: int, booking_id: int, amount: Decimal) -> Row:
    """A payment (or, with a negative amount, a refund)."""
    paid_on = TODAY + timedelta(days=rng.randrange(-700, 560))
    lines = [{"n": i, "vat": 0.19} for i in range(rng.randrange(1, 4))]
    receipt = {"id": f"{rng.getrandbits(64):016x}", "lines": lines}
    return (
        number, paid_on, wedding_id, booking_id, amount,
        maybe(rng, rng.choice(("card", "transfer", "cash", "voucher"))),
        maybe(rng, f"{rng.randrange(10000):04d}"), maybe(rng, rng.choice((1.0, 1.08731, 0.0931, 4.2701))),
        maybe(rng, Decimal(rng.choice(("0.30", "0.3", "1.250", "0")))), maybe(rng, json.dumps(receipt)),
        moment(rng),
    )  # fmt: skip


def budget_line(rng: Random, number: int | None, wedding_id: int) -> Row:
    """A line of a wedding's budget."""
    category = rng.choice(words.CATEGORIES)
    planned = money(rng, 100, 9000)
    return (
        number, wedding_id, maybe(rng, category), f"{category}, estimate {rng.randrange(9)}", planned,
        maybe(rng, money(rng, 0, 9000)),
        maybe(rng, Decimal(rng.randrange(1, 10**6)).scaleb(-rng.randrange(2, 9))),
        maybe(rng, rng.random() < 0.2),
    )  # fmt: skip


def photo(rng: Random, wedding_id: int, guests: list[UUID]) -> Row:
    """A photo's record; thumbnails of more than 2 kB are stored out of line."""
    taken = moment(rng, 200)
    size = rng.choice((0, 120, 600, 600, 5000))
    device = f"02:00:5e:{rng.randrange(256):02x}:{rng.randrange(256):02x}:01"
    key = f"weddings/{wedding_id}/{rng.getrandbits(64):016x}.jpg"
    exif = {"iso": rng.choice((100, 400, 3200)), "lens": "35 mm", "gps": maybe(rng, [52.5, 13.4]), "b": 1.0}
    return (
        uuid(rng), wedding_id, key, rng.randbytes(32), rng.randrange(10**5, 3 * 10**10), maybe(rng, 6000),
        maybe(rng, 4000), maybe(rng, taken), maybe(rng, taken.replace(tzinfo=None)),
        maybe(rng, timedelta(microseconds=rng.randrange(100, 10**7))), maybe(rng, rng.randbytes(size)),
        maybe(rng, json.dumps(exif)), maybe(rng, rng.sample(guests, min(len(guests), rng.randrange(4)))),
        maybe(rng, rng.randrange(6)), maybe(rng, rng.choice("ynx")), maybe(rng, device),
        maybe(rng, f"203.0.113.{rng.randrange(255)}"), moment(rng, 100),
    )  # fmt: skip


def document_body(rng: Random) -> str:
    """A text of 0.3 to 40 kB that hardly repeats itself, so that compression leaves it out of line."""
    clauses = rng.choice((3, 3, 3, 40, 40, 120, 400))
    return "".join(f"§{n} [{rng.getrandbits(48):012x}] {rng.choice(words.CLAUSES)}\n" for n in range(clauses))


def document(rng: Random, number: int | None, wedding_id: int) -> Row:
    """A contract, plan or speech with its full text."""
    kind = rng.choice(words.DOCUMENTS)
    pages = rng.randrange(2, 40)
    return (
        number, wedding_id, kind, f"{kind.title()} number {rng.randrange(1000)}",
        maybe(rng, document_body(rng)),
        maybe(rng, json.dumps({"pages": pages, "author": rng.choice(words.LAST_NAMES)}, ensure_ascii=False)),
        1, maybe(rng, Range(1, pages, "[)")), maybe(rng, moment(rng, 100)),
    )  # fmt: skip


def task(rng: Random, number: int | None, wedding_id: int, parent: int | None) -> Row:
    """A line of the checklist."""
    return (
        number, wedding_id, parent, rng.choice(words.TASKS),
        maybe(rng, TODAY + timedelta(days=rng.randrange(-200, 300))),
        maybe(rng, time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.randrange(10**6))),
        maybe(rng, timedelta(days=rng.randrange(3), hours=rng.randrange(10))),
        maybe(rng, rng.random() < 0.4),
        maybe(rng, [rng.randrange(1, 10**12) for _ in range(rng.randrange(3))]),
        maybe(rng, rng.random() * 1e9),
    )  # fmt: skip


def reading(rng: Random, number: int | None, wedding_id: int) -> Row:
    """A sensor's line, with the values at which number formats break: NaN, infinities, minus zero."""
    awkward = (float("nan"), float("inf"), float("-inf"), -0.0, 1e-300, 0.1 + 0.2, rng.random())
    return (
        number, wedding_id, rng.choice(words.SENSORS), maybe(rng, moment(rng, 10)),
        maybe(rng, rng.choice(("infinity", "-infinity", "2031-01-01T00:00:00.000001Z"))),
        maybe(rng, rng.choice((21.5, 36.6, float("nan"), 0.1))), maybe(rng, rng.choice(awkward)),
        maybe(rng, rng.choice(("NaN", "55.50", "55.5", "1e-20", "9" * 20 + ".000000001"))),
        maybe(rng, [rng.choice((None, 0, -(2**31), 2**31 - 1)) for _ in range(rng.randrange(5))]),
        maybe(rng, [rng.random(), None, 1.5]), maybe(rng, [money(rng, 1, 99), None]),
        maybe(rng, [True, None, False]), maybe(rng, f"{rng.randrange(256):08b}"),
        maybe(rng, rng.choice((0, 4294967295, 16384))),
    )  # fmt: skip


def activity(rng: Random, wedding_id: int) -> Row:
    """A line of the activity log, which has no key; a tenth of them repeat exactly."""
    if rng.random() < 0.1:
        return datetime(2026, 5, 1, tzinfo=UTC), wedding_id, "import", "row taken over", None
    detail = {"ip": f"203.0.113.{rng.randrange(255)}", "ms": rng.randrange(1, 4000)}
    return (
        maybe(rng, moment(rng, 200)), maybe(rng, wedding_id, 0.03),
        maybe(rng, rng.choice(words.LAST_NAMES)), rng.choice(words.ACTIONS), maybe(rng, json.dumps(detail)),
    )  # fmt: skip
