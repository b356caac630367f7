"""One line of the doctor's findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Level(Enum):
    """How bad it is: a WARN leaves the capture exact, a FAIL doesn't or stops it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    level: Level
    found: str
    fix: str | None = None
    details: Mapping[str, Any] | None = None
    """Of a destination: what it was seen to do."""


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, Level.OK, found)


def warn(name: str, found: str, fix: str) -> Check:
    """Somebody should know."""
    return Check(name, Level.WARN, found, fix)


def fail(name: str, found: str, fix: str) -> Check:
    """Changes aren't captured, or not exactly."""
    return Check(name, Level.FAIL, found, fix)


def listed(names: list[str], most: int = 5) -> str:
    """Some names for a line: the first few, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
