"""Dates and times as PostgreSQL reads them, over its whole range: BC, years of five digits, infinity, 24:00.

Python's own `datetime` ends at the years 1 and 9999, so the calendar is computed from day numbers. PostgreSQL
uses the proleptic Gregorian calendar: https://www.postgresql.org/docs/current/datetime-units-history.html
"""

from __future__ import annotations

import re

MICROS_PER_DAY = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -2_440_588, 2_145_042_905
# Debezium writes an infinite date as a day number outside PostgreSQL's range, another one from a snapshot
# than from the stream; measured with 3.7.0.Final and `time.precision.mode=microseconds`.
_INFINITE_DAYS = {
    -622_191_234: "infinity",
    2_146_033_979: "infinity",
    -625_821_272: "-infinity",
    -2_147_472_691: "-infinity",
}
_FIRST_MICRO = _FIRST_DAY * MICROS_PER_DAY
_END_MICRO = 9_224_318_016_000_000_000
"""The first microsecond after PostgreSQL's last timestamp: the year 294277 begins."""
_INFINITE_MICROS = {
    9_223_372_036_854_775_807: "infinity",
    9_223_372_036_825_200_000: "infinity",
    -9_223_372_036_854_775_808: "-infinity",
    -9_223_372_036_832_400_000: "-infinity",
}
_ISO = re.compile(r"(?P<sign>[+-]?)(?P<year>\d{4,})-(?P<rest>\d\d-\d\dT.*)", re.ASCII)


class OutOfRangeError(ValueError):
    """A number that stands for no moment PostgreSQL knows: it was damaged before it came here."""


def civil(day: int) -> tuple[int, int, int]:
    """Year (0 is 1 BC), month and day of a day number counted from 1970-01-01."""
    shifted = day + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    month = month_index + 3 if month_index < 10 else month_index - 9
    return (
        era * 400 + year_of_era + (month <= 2),
        month,
        day_of_year - (153 * month_index + 2) // 5 + 1,
    )


def date_text(day: int) -> str:
    """A date from its day number; `OutOfRangeError` when PostgreSQL has no such date."""
    if day in _INFINITE_DAYS:
        return _INFINITE_DAYS[day]
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise OutOfRangeError(f"day number {day} is outside PostgreSQL's dates")
    year, month, day_of_month = civil(day)
    return _with_era(year, f"{month:02d}-{day_of_month:02d}")


def timestamp_text(micros: int) -> str:
    """A timestamp without time zone from microseconds since 1970; `OutOfRangeError` when there is no such
    one.
    """
    if micros in _INFINITE_MICROS:
        return _INFINITE_MICROS[micros]
    if micros < _FIRST_MICRO:
        raise OutOfRangeError(f"{micros} microseconds are outside PostgreSQL's timestamps: an overflow")
    return _moment_text(micros)


def wrapped_timestamp_text(micros: int) -> str:
    """As `timestamp_text`, of a number that our own converter made: PostgreSQL's last years lie beyond 64
    bits and wrap around to numbers before its first.
    """
    if micros in _INFINITE_MICROS or micros >= _FIRST_MICRO:
        return timestamp_text(micros)
    if micros + 2**64 >= _END_MICRO:
        raise OutOfRangeError(f"{micros} microseconds are outside PostgreSQL's timestamps")
    return _moment_text(micros + 2**64)


def _moment_text(micros: int) -> str:
    day, rest = divmod(micros, MICROS_PER_DAY)
    year, month, day_of_month = civil(day)
    return _with_era(year, f"{month:02d}-{day_of_month:02d} {time_text(rest)}")


def time_text(micros: int) -> str:
    """A time of day from microseconds since midnight, 24:00 included; `OutOfRangeError` beyond."""
    if not 0 <= micros <= MICROS_PER_DAY:
        raise OutOfRangeError(f"{micros} microseconds are no time of day")
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}.{fraction:06d}"


def zoned_text(iso: str) -> str:
    """A timestamptz from Debezium's ISO 8601 text, in a form that PostgreSQL reads: BC spelled out, no plus
    sign.
    """
    match = _ISO.fullmatch(iso)
    if match is None:
        if iso in ("infinity", "-infinity"):
            return iso
        raise OutOfRangeError(f"{iso!r} is no ISO 8601 moment")
    year = int(match["sign"] + match["year"])
    return _with_era(year, match["rest"])


def _with_era(year: int, rest: str) -> str:
    return f"{year:04d}-{rest}" if year > 0 else f"{1 - year:04d}-{rest} BC"
