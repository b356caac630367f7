"""Which names of tables were some table's, and in which stretches of the WAL.

A record stands in the topic of the name that its table had. Where no table had that name when the record was
written, nobody would look for it, and counting, which is by name, wouldn't miss it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

START = -1
"""The position of the initial snapshot: before everything that was streamed."""

Span: TypeAlias = tuple[int, int | None]
"""The records with `after < lsn <= until` (None: no end), and the snapshot's where `after` is START."""


@dataclass(frozen=True, slots=True)
class Held:
    """The spans in which each name (`schema.table`) was a table's, in order of their beginnings."""

    spans: Mapping[str, Sequence[Span]] = field(default_factory=dict)

    def of(self, collection: str) -> Sequence[Span]:
        """The spans of a name; none if no table ever had it."""
        return self.spans.get(collection, ())


class Naming:
    """Takes notes of names, in the order of the log; a table is its oid."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, int]] = {}
        self._closed: dict[str, list[Span]] = {}

    def takes(self, oid: int, collection: str, after: int) -> None:
        """The table has the name from here on, and no longer the one that it had."""
        name, since = self._open.get(oid, ("", START))
        if name != collection:
            self.leaves(oid, after)
            self._open[oid] = collection, after
        elif after < since:
            self._open[oid] = collection, after

    def turns_out(self, oid: int, collection: str) -> None:
        """The table has another name than the log says; nobody knows since when."""
        _, since = self._open.get(oid, ("", START))
        self._open[oid] = collection, since

    def leaves(self, oid: int, until: int) -> None:
        """The table, if it is known, has no name any more."""
        if oid in self._open:
            name, since = self._open.pop(oid)
            if since < until:
                self._closed.setdefault(name, []).append((since, until))

    def held(self) -> Held:
        """What was noted."""
        spans = {name: list(each) for name, each in self._closed.items()}
        for name, since in self._open.values():
            spans.setdefault(name, []).append((since, None))
        return Held({name: tuple(sorted(each, key=lambda span: span[0])) for name, each in spans.items()})
