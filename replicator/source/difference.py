"""What would change in a running connector, with secrets masked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MASK = "********"
_SECRET = re.compile(
    r"(password|secret|token|credential|api[._-]?key|sasl\.jaas|basic\.auth\.user\.info)", re.IGNORECASE
)
_REFERENCE = re.compile(r"^\$\{[^}]+\}$")


@dataclass(frozen=True, slots=True)
class Change:
    """One setting: `old` is None when it is new, `new` is None when it goes. Secrets are masked."""

    setting: str
    old: str | None
    new: str | None


def masked(setting: str, value: str) -> str:
    """The value as it may be shown; a reference that a ConfigProvider resolves is no secret."""
    if _SECRET.search(setting) and not _REFERENCE.match(value):
        return MASK
    return re.sub(r"(//[^/:@\s]*:)[^/@\s]+@", rf"\1{MASK}@", value)


def difference(running: Mapping[str, str] | None, wanted: Mapping[str, str]) -> list[Change]:
    """The settings that differ, by name. `name`, which Connect adds by itself, is left out."""
    old = {key: value for key, value in (running or {}).items() if key != "name"}
    return [
        Change(
            key,
            masked(key, old[key]) if key in old else None,
            masked(key, wanted[key]) if key in wanted else None,
        )
        for key in sorted(old.keys() | (wanted.keys() - {"name"}))
        if old.get(key) != wanted.get(key)
    ]
