"""Which foreign keys can be built: those between tables that have their rows and all their indexes."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from replicator.restore.schema.dump import Entry

TYPE = "FK CONSTRAINT"
_REFERENCED = re.compile(
    r"\bREFERENCES (?P<table>(?:\"(?:[^\"]|\"\")+\"|[\w$]+)\.(?:\"(?:[^\"]|\"\")+\"|[\w$]+))"
)


class ForeignKeys:
    """The foreign keys of a dump, each given out once; safe to share between threads.

    `work` is how many pieces of work each table takes before a key may lock it. Keys of tables that aren't in
    it, such as partitioned ones, whose own keys aren't whole yet, are left for `rest`.
    """

    def __init__(self, entries: Sequence[Entry], work: Mapping[str, int]) -> None:
        self._lock = threading.Lock()
        self._left = Counter(work)
        self._waiting: dict[int, tuple[Entry, frozenset[str]]] = {}
        self._rest: list[Entry] = []
        for number, entry in enumerate(entries):
            tables = tables_of(entry)
            if tables and tables <= set(work):
                self._waiting[number] = (entry, tables)
            else:
                self._rest.append(entry)

    def done(self, table: str) -> list[Entry]:
        """One piece of a table's work is done: the keys that can be built now because of it."""
        with self._lock:
            self._left[table] -= 1
            ready = [
                number
                for number, (_, tables) in self._waiting.items()
                if not any(self._left[each] for each in tables)
            ]
            return [self._waiting.pop(number)[0] for number in ready]

    def rest(self) -> list[Entry]:
        """Those that were not given out, to be built when everything else is there; none the second time."""
        with self._lock:
            found = [*self._rest, *(entry for entry, _ in self._waiting.values())]
            self._rest.clear()
            self._waiting.clear()
            return found


def tables_of(entry: Entry) -> frozenset[str]:
    """The table of a key and the one it refers to, as pg_dump writes them; none when they can't be told."""
    match = _REFERENCED.search(entry.statements[0]) if entry.statements else None
    if match is None or entry.table is None:
        return frozenset()
    return frozenset((entry.table, match["table"]))
