"""The names in Debezium's change event, and the two ways its facts are put.

https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-create-events
"""

from __future__ import annotations

from typing import Final

CREATE: Final = "c"
READ: Final = "r"
UPDATE: Final = "u"
DELETE: Final = "d"
TRUNCATE: Final = "t"
MESSAGE: Final = "m"

ALIVE: Final = (CREATE, READ, UPDATE)
"""Operations after which the row of `after` exists."""


def xid_of(transaction_id: str) -> int:
    """The xid in a transaction's `id`, which is `xid:lsn`; `ValueError` when it is neither."""
    return int(transaction_id.split(":", 1)[0])


def lsn_of(transaction_id: str) -> int:
    """The lsn in a transaction's `id`, as a number of bytes; `ValueError` when it has none."""
    return int(transaction_id.split(":", 1)[1])


def lsn_text(lsn: int) -> str:
    """An LSN as PostgreSQL prints it, `0/16B3748`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """An LSN as PostgreSQL prints it, as a number of bytes; `ValueError` when it is none."""
    high, slash, low = text.strip().partition("/")
    if not slash or not high or not low or len(high) > 8 or len(low) > 8:
        raise ValueError(f"{text!r} is no LSN; one looks like 0/16B3748")
    return (int(high, 16) << 32) | int(low, 16)
