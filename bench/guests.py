"""Records like those that Debezium writes for a guest list: about 350 bytes each, no two alike."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from replicator.segment.varint import long

SOURCE = {
    "type": "record",
    "name": "Source",
    "namespace": "io.debezium.connector.postgresql",
    "fields": [
        {"name": name, "type": kind}
        for name, kind in (
            ("version", "string"),
            ("connector", "string"),
            ("name", "string"),
            ("ts_ms", "long"),
            ("snapshot", ["null", "string"]),
            ("db", "string"),
            ("sequence", ["null", "string"]),
            ("ts_us", ["null", "long"]),
            ("schema", "string"),
            ("table", "string"),
            ("txId", ["null", "long"]),
            ("lsn", ["null", "long"]),
        )
    ],
}
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "wedding_id", "type": "long"},
        {"name": "guest_id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "email", "type": ["null", "string"]},
        {"name": "household", "type": "string"},
        {"name": "diet", "type": ["null", "string"]},
        {"name": "note", "type": ["null", "string"]},
        {"name": "rsvp_at", "type": ["null", "string"]},
        {"name": "address", "type": ["null", "string"]},
        {"name": "phone", "type": ["null", "string"]},
        {"name": "token", "type": "string"},
    ],
}
VALUE_SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Envelope",
        "namespace": "bench.public.guests",
        "fields": [
            {"name": "before", "type": ["null", ROW]},
            {"name": "after", "type": ["null", "Value"]},
            {"name": "source", "type": SOURCE},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": ["null", "long"]},
            {
                "name": "transaction",
                "type": [
                    "null",
                    {
                        "type": "record",
                        "name": "block",
                        "fields": [
                            {"name": "id", "type": "string"},
                            {"name": "total_order", "type": "long"},
                            {"name": "data_collection_order", "type": "long"},
                        ],
                    },
                ],
            },
        ],
    }
)
KEY_SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Key",
        "namespace": "bench.public.guests",
        "fields": [{"name": "wedding_id", "type": "long"}, {"name": "guest_id", "type": "long"}],
    }
)

_FIRST = (
    *("Ada", "Boris", "Chioma", "Dmitri", "Elif", "Farid", "Grace", "Hana"),
    *("Imre", "Jamila", "Kofi", "Lena", "Mateo", "Nadia", "Oskar", "Priya"),
)
_LAST = (
    *("Abara", "Bauer", "Costa", "Dubois", "Eriksen", "Ferrari"),
    *("Garcia", "Haddad", "Ivanova", "Jensen", "Kowalski", "Laurent"),
)
_TOWNS = ("Amsterdam", "Berlin", "Lisbon", "Ljubljana", "Marseille", "Warsaw")
_DIETS = ("vegetarian", "vegan", "halal", "kosher", "no nuts", "gluten-free")
_NOTES = (
    "arrives with the late train",
    "brings a gift for the children's table",
    "needs a seat near the exit",
    "sings at the ceremony",
    "asked for a room with two beds",
)


def records(
    count: int, key_schema_id: int, value_schema_id: int, seed: int = 7
) -> Iterator[tuple[bytes, bytes]]:
    """Key and value in wire format: inserts, one transaction for every twenty."""
    choose = random.Random(seed)
    key_prefix = b"\x00" + key_schema_id.to_bytes(4, "big")
    value_prefix = b"\x00" + value_schema_id.to_bytes(4, "big") + b"\x00\x02"
    constant = b"".join(map(_text, ("3.7.0.Final", "postgresql", "bench")))
    lsn = 0x16B374D848
    for number in range(count):
        lsn += choose.randrange(120, 400)
        milliseconds = 1_790_000_000_000 + number // 12
        transaction = number // 20
        wedding, guest = choose.randrange(400), number + 1
        first, last = choose.choice(_FIRST), choose.choice(_LAST)
        row = b"".join(
            (
                long(wedding),
                long(guest),
                _text(f"{first} {last}"),
                _maybe(f"{first.lower()}.{last.lower()}{guest % 977}@example.org"),
                _text(f"{last} {choose.randrange(90)}"),
                _maybe(choose.choice(_DIETS) if choose.random() < 0.3 else None),
                _maybe(choose.choice(_NOTES) if choose.random() < 0.5 else None),
                _maybe(
                    f"2026-{choose.randrange(1, 13):02}-{choose.randrange(1, 29):02}T10:{guest % 60:02}:00Z"
                ),
                _maybe(f"{choose.randrange(1, 200)} {choose.choice(_LAST)} Street, {choose.choice(_TOWNS)}"),
                _maybe(f"+49 30 {choose.randrange(10**7):07}"),
                _text(f"{choose.getrandbits(64):016x}"),
            )
        )
        source = b"".join(
            (
                constant,
                long(milliseconds),
                _maybe("false"),
                _text("weddings"),
                _maybe(f'["{lsn - 64}","{lsn}"]'),
                b"\x02" + long(milliseconds * 1000 + choose.randrange(1000)),
                _text("public"),
                _text("guests"),
                b"\x02" + long(780_000 + transaction),
                b"\x02" + long(lsn),
            )
        )
        end = b"".join(
            (
                _text("c"),
                b"\x02" + long(milliseconds + 250),
                b"\x02",
                _text(f"{780_000 + transaction}:{lsn}"),
                long(number % 20 + 1),
                long(number % 20 + 1),
            )
        )
        yield key_prefix + long(wedding) + long(guest), value_prefix + row + source + end


def _text(value: str) -> bytes:
    encoded = value.encode()
    return long(len(encoded)) + encoded


def _maybe(value: str | None) -> bytes:
    return b"\x00" if value is None else b"\x02" + _text(value)
