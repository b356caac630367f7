"""How far a command is, for people, on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from replicator.verify import Finding

_TOLD = 50
"""Findings that a person reads."""


class TableBars:
    """How far a restore or a compaction is: a bar on a terminal, lines elsewhere; all on standard error."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
        self._bars = (
            Progress(*columns, console=self._console, transient=True) if self._console.is_terminal else None
        )
        self._task = None if self._bars is None else self._bars.add_task("", total=None)

    def __enter__(self) -> TableBars:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def phase(self, name: str) -> None:
        """A new phase."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, description=name)
        else:
            self._console.print(name)

    def tables(self, total_bytes: int) -> None:
        """The total that the bar runs to."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, total=total_bytes, completed=0)

    def loaded(self, table: str, rows: int, size: int) -> None:
        """A table is done."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, size)
        self._console.print(f"  {table}: {rows:,} rows")


class SegmentBar:
    """A progress bar on a terminal, nothing elsewhere; what is found is told at once. On standard error."""

    def __init__(self, what: str, *, by_size: bool) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._by_size = by_size
        counts = (DownloadColumn(), TransferSpeedColumn()) if by_size else (MofNCompleteColumn(),)
        columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
        self._bars = Progress(*columns, console=self._console, transient=True)
        self._shown = self._console.is_terminal
        self._task = self._bars.add_task(what, total=None)
        self._told = 0

    def __enter__(self) -> SegmentBar:
        if self._shown:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._bars.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, markup=False)

    def begin(self, segments: int, size: int) -> None:
        """The total that the bar runs to."""
        self._bars.update(self._task, total=size if self._by_size else segments)

    def advance(self, segments: int, size: int) -> None:
        """So many segments, or bytes, more."""
        self._bars.advance(self._task, size if self._by_size else segments)

    def found(self, finding: Finding) -> None:
        """Told as it is found, up to a number that a person reads."""
        self._told += 1
        if self._told <= _TOLD:
            self.say(str(finding))
        elif self._told == _TOLD + 1:
            self.say("more is counted, and listed by --json")
