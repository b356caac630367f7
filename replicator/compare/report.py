"""What differs between two captured databases: pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from replicator.compare.digest import Digests, SequencePosition


@dataclass(frozen=True, slots=True)
class TableResult:
    """One table on both sides; None for the rows of a side that doesn't have it."""

    name: str
    equal: bool
    source_rows: int | None
    target_rows: int | None


@dataclass(frozen=True, slots=True)
class DefinitionResult:
    """A definition that differs; None on the side that lacks the object."""

    name: str
    source: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class SequenceResult:
    """A sequence; `fit` is whether the target can go on from it without handing out a taken value.

    A sequence's position isn't transactional: numbers drawn after the point, or by transactions that rolled
    back, move the source's. So the positions are shown, and only a target that would collide counts as
    different.
    """

    name: str
    fit: bool
    source_next: int | None
    target_next: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict: tables, definitions and sequences, each with what differs."""

    tables: tuple[TableResult, ...]
    definitions: tuple[DefinitionResult, ...]
    sequences: tuple[SequenceResult, ...]
    unlogged: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every row of every table, every definition and every sequence is as it has to be."""
        return (
            not self.different_tables and not self.definitions and all(found.fit for found in self.sequences)
        )

    @property
    def different_tables(self) -> list[TableResult]:
        """The tables whose rows are not the same."""
        return [table for table in self.tables if not table.equal]

    @property
    def rows(self) -> int:
        """Rows of the source's tables."""
        return sum(table.source_rows or 0 for table in self.tables)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"equal": self.equal, "rows": self.rows, **asdict(self)}

    def lines(self) -> list[str]:
        """What differs, a line each; empty when nothing does."""
        lines = [
            f"{table.name}: {_count(table.source_rows)} in the source, {_count(table.target_rows)} in the "
            f"target" + ("" if table.source_rows != table.target_rows else ", with different values")
            for table in self.different_tables
        ]
        lines += [
            f"{found.name}: {_text(found.source)} in the source, {_text(found.target)} in the target"
            for found in self.definitions
        ]
        lines += [
            f"{sequence.name}: the target's next value {sequence.target_next} is already taken"
            if sequence.target_next is not None
            else f"{sequence.name}: the target has no such sequence"
            for sequence in self.sequences
            if not sequence.fit
        ]
        return lines


def compare(source: Digests, target: Digests) -> Report:
    """Compare the target with the source, object by object."""
    return Report(
        tables=tuple(
            _table(name, source, target) for name in sorted(source.tables.keys() | target.tables.keys())
        ),
        definitions=tuple(
            DefinitionResult(name, source.definitions.get(name), target.definitions.get(name))
            for name in sorted(source.definitions.keys() | target.definitions.keys())
            if source.definitions.get(name) != target.definitions.get(name)
        ),
        sequences=tuple(
            _sequence(name, source.sequences.get(name), target.sequences.get(name))
            for name in sorted(source.sequences.keys() | target.sequences.keys())
        ),
        unlogged=source.unlogged,
    )


def _table(name: str, source: Digests, target: Digests) -> TableResult:
    ours, theirs = source.tables.get(name), target.tables.get(name)
    equal = (
        ours is not None
        and theirs is not None
        and (ours.rows, ours.digest, ours.table.columns) == (theirs.rows, theirs.digest, theirs.table.columns)
    )
    return TableResult(name, equal, ours.rows if ours else None, theirs.rows if theirs else None)


def _sequence(name: str, source: SequencePosition | None, target: SequencePosition | None) -> SequenceResult:
    return SequenceResult(
        name,
        fit=source is not None and target is not None and not target.would_collide,
        source_next=source.next_value if source else None,
        target_next=target.next_value if target else None,
    )


def _count(rows: int | None) -> str:
    return "no such table" if rows is None else f"{rows} rows"


def _text(definition: str | None) -> str:
    return "not there" if definition is None else definition or "there"
