"""A random history of a database as SQL: rows, keys, truncates and DDL, repeatable by its seed.

What it writes is plausible, not always valid: a transaction that PostgreSQL refuses is rolled back there, and
so is no part of any history.
"""

from __future__ import annotations

from copy import deepcopy
from random import Random

from tests.histories import row_changes, schema_changes
from tests.histories.book import BEGINNING, Book


class Story:
    """Gives one transaction after the other, each a list of statements."""

    def __init__(self, seed: int) -> None:
        self._book = Book(Random(seed))
        self._before = self._book
        self.changes = 0
        """Of the schema, so far."""

    def begin(self) -> list[str]:
        """What is there before anything is captured."""
        statements = list(BEGINNING)
        for _ in range(4):
            statements += schema_changes.create(self._book)
        statements += schema_changes.create_partitioned(self._book)
        for table in self._book.tables:
            statements += row_changes.insert(self._book, table, 12)
        return statements

    def transaction(self) -> list[str]:
        """A few statements that are committed together."""
        book = self._book
        self._before = deepcopy(book)
        found: list[str] = []
        for _ in range(book.random.choice((1, 1, 1, 2, 4))):
            if book.random.random() < 0.7:
                found += row_changes.any_of(book)
            else:
                found += schema_changes.any_of(book)
                self.changes += 1
        return found

    def forget(self) -> None:
        """The last transaction never was; chance goes on."""
        self._before.random = self._book.random
        self._book = self._before

    def row(self) -> str:
        """One statement about rows alone, for somebody who works at the same time."""
        return row_changes.single(self._book)
