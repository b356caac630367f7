"""How each PostgreSQL type travels through Debezium's Avro, and the text that PostgreSQL reads back as the
same value.

One table, `CONVERSIONS`, measured with Debezium 3.7.0.Final under this project's settings
(`decimal.handling.mode=string`, `interval.handling.mode=string`, `time.precision.mode=microseconds`,
`include.unknown.datatypes=true`, `hstore.handling.mode=json`). `replicator.debezium.columns` does the same
for whole columns and is tested against it. Where a connector runs with our own converter
(`source.exact_values`), the types of which Debezium loses something arrive as PostgreSQL's own text instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from replicator.debezium import calendar
from replicator.debezium.pgtypes import PgType

PLACEHOLDER = "__debezium_unavailable_value"
"""What stands for a TOAST value that an update left alone (`unavailable.value.placeholder`)."""


class ValueRefusedError(ValueError):
    """A value, or a whole type, that can't be read back exactly; the message says why."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is known of a type's way through Debezium.

    `text` gives PostgreSQL's input text for one decoded value that isn't None. `caveat` names what is lost
    without a trace for some values of the type, None where every value arrives exactly. `refusal` says why
    the type can't be restored at all.
    """

    text: Callable[[Any], str]
    caveat: str | None = None
    refusal: str | None = None


def _string(value: Any) -> str:
    if isinstance(value, bytes):  # include.unknown.datatypes sends the type's own text as bytes
        value = value.decode()
    if not isinstance(value, str):
        raise ValueRefusedError(f"text was expected, not {type(value).__name__}")
    if value == PLACEHOLDER:
        raise ValueRefusedError("an unchanged TOAST value that the record doesn't hold")
    return value


def _bool(value: Any) -> str:
    return "true" if value else "false"


def _int(value: Any) -> str:
    return str(int(value))


def _float(value: Any) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


_NUMERIC_NAMES = {"NAN": "NaN", "POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity"}


def _numeric(value: Any) -> str:
    text = _string(value)
    return _NUMERIC_NAMES.get(text, text)


def _bytea(value: Any) -> str:
    if value == PLACEHOLDER.encode():
        raise ValueRefusedError("an unchanged TOAST value that the record doesn't hold")
    return "\\x" + bytes(value).hex()


def _hstore(value: Any) -> str:
    pairs = json.loads(_string(value))
    return ",".join(
        f"{_quoted(key)}=>{'NULL' if item is None else _quoted(item)}" for key, item in pairs.items()
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: float) -> str:
    return _float(float(value))


def _point(value: Any) -> str:
    return f"({_number(value['x'])},{_number(value['y'])})"


def bit_text(value: Any, length: int | None) -> str:
    """A bit string of `length` bits; Debezium sends bit(1) as a boolean, more bits as little-endian bytes."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if length is None:
        raise ValueRefusedError("a bit string whose length isn't known")
    number = int.from_bytes(value, "little")
    if number >> length:
        raise ValueRefusedError(f"more than the {length} bits of its type")
    return format(number, f"0{length}b")


def _refused(value: Any) -> str:
    raise ValueRefusedError(f"a value of its type can't be read back: {value!r}")


TEXT = Conversion(_string)
_SNAPSHOT_ERA = "a date before Christ loses its era in the initial snapshot"
_ARRAY = "an array's lower bounds and second dimension don't arrive"

CONVERSIONS: dict[str, Conversion] = {
    "bool": Conversion(_bool),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), Conversion(_int)),
    **dict.fromkeys(("float4", "float8"), Conversion(_float)),
    **dict.fromkeys(("numeric", "money"), Conversion(_numeric)),
    **dict.fromkeys(
        (
            *("text", "varchar", "bpchar", "name", "char", "citext", "uuid", "json", "jsonb", "xml", "ltree"),
            *("inet", "cidr", "macaddr", "macaddr8", "interval", "tsvector"),
            *("tsquery", "pg_lsn", "xid", "xid8", "jsonpath", "tid", "regclass", "regtype", "pg_snapshot"),
            "lquery",
        ),
        TEXT,
    ),
    "bytea": Conversion(_bytea),
    "date": Conversion(calendar.date_text, caveat=_SNAPSHOT_ERA),
    "time": Conversion(calendar.time_text),
    "timestamp": Conversion(calendar.timestamp_text),
    "timestamptz": Conversion(lambda value: calendar.zoned_text(_string(value))),
    "hstore": Conversion(_hstore),
    "point": Conversion(_point),
    "bit": Conversion(lambda value: bit_text(value, None)),
    "varbit": Conversion(_refused, refusal="the length of a varbit doesn't arrive"),
    "timetz": Conversion(_refused, refusal="the offset of a timetz doesn't arrive"),
    **dict.fromkeys(("oidvector", "int2vector"), Conversion(_refused, refusal="it arrives empty")),
    **dict.fromkeys(
        ("line", "lseg", "box", "path", "polygon", "circle"),
        Conversion(
            _refused, refusal="geometric types other than point arrive in parts that aren't read back"
        ),
    ),
}
_EXACT_NUMBERS = {
    "date": Conversion(calendar.date_text),
    "timestamp": Conversion(calendar.wrapped_timestamp_text),
}

_ARRAY_REFUSALS = {
    "time": "24:00 arrives as 00:00 in an array",
    "point": "the column is missing from the records",
    "interval": "the column is missing from the records",
}


def conversion(pg_type: PgType, *, exact: bool = False) -> Conversion:
    """How values of the type are read back, what is lost, and whether the type is refused.

    `exact` is for fields that our own converter wrote (`replicator.debezium.exact`).
    """
    if exact:
        return TEXT if pg_type.element is not None else _EXACT_NUMBERS.get(pg_type.name, TEXT)
    if pg_type.element is not None and pg_type.name not in CONVERSIONS:
        return _array_conversion(pg_type.element)
    if pg_type.kind in ("e", "r", "c", "m"):
        return TEXT
    if pg_type.name == "bit":
        return Conversion(lambda value: bit_text(value, pg_type.length))
    known = CONVERSIONS.get(pg_type.name)
    if known is not None:
        return known
    return Conversion(
        _string, caveat=f"the type {pg_type.name} wasn't measured; its text is taken as it arrives"
    )


def _array_conversion(element: PgType) -> Conversion:
    if element.name in _ARRAY_REFUSALS:
        return Conversion(_refused, refusal=_ARRAY_REFUSALS[element.name])
    inner = conversion(element)
    if inner.refusal is not None or element.kind == "d":
        why = inner.refusal or "arrays of domains weren't measured"
        return Conversion(_refused, refusal=f"an array of {element}: {why}")
    caveat = _ARRAY
    if element.kind == "e":
        caveat += "; an enum array with a NULL in it arrives as NULL"
    elif element.name == "numeric":
        caveat += "; a numeric array with NaN in it arrives as NULL"
    if inner.caveat is not None:
        caveat += f"; {inner.caveat}"

    def text(value: Any) -> str:
        parts = ("NULL" if item is None else _quoted(inner.text(item)) for item in value)
        return "{" + ",".join(parts) + "}"

    return Conversion(text, caveat=caveat)


def to_text(value: Any, pg_type: PgType, *, exact: bool = False) -> str | None:
    """The text that PostgreSQL reads as exactly this value of the type; None for NULL.

    `value` is as an Avro reader gives it, `exact` as for `conversion`. It is input text: PostgreSQL may print
    the same value otherwise, so compare after a cast to the type. Raises `ValueRefusedError` for what
    can't be read back.
    """
    if value is None:
        return None
    rule = conversion(pg_type, exact=exact)
    if rule.refusal is not None:
        raise ValueRefusedError(rule.refusal)
    try:
        return rule.text(value)
    except (calendar.OutOfRangeError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise ValueRefusedError(str(error)) from error
