"""The restored database held against the source's digests: which objects differ, in words. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from replicator.compare import Digests, compare


@dataclass(frozen=True, slots=True)
class Difference:
    """The tables whose rows differ, and everything that differs in words, tables first."""

    tables: tuple[str, ...]
    words: tuple[str, ...]


def difference(source: Digests, target: Digests, not_captured: Collection[str]) -> Difference:
    """How the target differs from the source, rows of tables that nobody captures aside."""
    report = compare(_without(source, not_captured), _without(target, not_captured))
    return Difference(tuple(table.name for table in report.different_tables), tuple(report.lines()))


def _without(digests: Digests, tables: Collection[str]) -> Digests:
    return replace(
        digests, tables={name: each for name, each in digests.tables.items() if name not in tables}
    )
