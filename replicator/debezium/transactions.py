"""The transaction topic as a sequence of commits: which came when, and how many events each had in each
table.

BEGIN and END are neighbours in the one-partition topic, in commit order. A row belongs to the pair whose xid
is its `source.txId` and whose range of LSNs holds its `source.lsn`; xids come round again, so the xid alone
isn't enough.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replicator.debezium.envelope import lsn_of, lsn_text, xid_of
from replicator.errors import IntegrityError

SNAPSHOT = 0
"""The number that stands for everything the initial snapshot holds; the first commit after it is number 1."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One committed transaction. `begin` is its first event's LSN, `end` the position after its commit
    record.
    """

    number: int
    xid: int
    begin: int
    end: int
    committed_ms: int
    written_ms: int

    def __str__(self) -> str:
        return f"transaction {self.xid} (commit {self.number}, LSN {lsn_text(self.end)})"


class Commits:
    """Transactions that have ended, numbered in commit order: all of them, from 1 on, or those after a base.

    `before` is the number of the last commit that isn't held one by one; `known` are the few of those up to
    it that are: the last of them, and those that others still have to be told apart from.
    """

    def __init__(self, before: int = SNAPSHOT, known: Iterable[Commit] = ()) -> None:
        self.before = before
        self._known = {commit.number: commit for commit in known}
        self._xids = array("q")
        self._begins = array("Q")
        self._ends = array("Q")
        self._committed_ms = array("q")
        self._written_ms = array("q")
        self._by_xid: dict[int, int | list[int]] = {}
        self._offsets = array("q")
        self._counts: dict[str, tuple[array[int], array[int]]] = {}
        self._sorted: tuple[Any, Any, Any, Any] | None = None

    def __len__(self) -> int:
        """The number of the last commit."""
        return self.before + len(self._xids)

    @property
    def first(self) -> int:
        """The number of the first commit that is held with its counts."""
        return self.before + 1

    def __getitem__(self, number: int) -> Commit:
        i = number - self.first
        if i < 0:
            if number not in self._known:
                raise IndexError(number)
            return self._known[number]
        return Commit(
            number, self._xids[i], self._begins[i], self._ends[i], self._committed_ms[i], self._written_ms[i]
        )

    def number(self, xid: int, lsn: int) -> int | None:
        """The number of the commit that an event with this xid and LSN belongs to; None before its END."""
        for number in self.of_xid(xid):
            if self._begins[number - self.first] <= lsn <= self._ends[number - self.first]:
                return number
        for commit in self._known.values():
            if commit.xid == xid and commit.begin <= lsn <= commit.end:
                return commit.number
        return None

    def numbers(self, xids: Any, lsns: Any) -> Any:
        """As `number`, of whole numpy columns; 0 where the transaction hasn't ended."""
        by_xid, known, begins, ends = self._sorted_by_xid()
        found = np.zeros(len(xids), np.int64)
        low = np.searchsorted(known, xids, "left")
        high = np.searchsorted(known, xids, "right")
        # An xid comes round again, so it may have had several commits.
        for turn in range(int((high - low).max(initial=0))):
            place = np.minimum(low + turn, len(known) - 1)
            inside = (low + turn < high) & (begins[place] <= lsns) & (lsns <= ends[place])
            found[inside] = by_xid[place[inside]]
        return found

    def _sorted_by_xid(self) -> tuple[Any, Any, Any, Any]:
        if self._sorted is None or len(self._sorted[0]) != len(self._known) + len(self._xids):
            known = self._known.values()
            # Positions in a log fit into 63 bits for some centuries.
            xids, begins, ends = (
                np.concatenate([np.array(few, np.int64), np.array(many, np.int64)])
                for few, many in (
                    ([each.xid for each in known], self._xids),
                    ([each.begin for each in known], self._begins),
                    ([each.end for each in known], self._ends),
                )
            )
            numbers = np.concatenate([np.array(list(self._known), np.int64), self.arrays()["number"]])
            order = np.argsort(xids, kind="stable")
            self._sorted = (numbers[order], xids[order], begins[order], ends[order])
        return self._sorted

    def of_xid(self, xid: int) -> list[int]:
        """The numbers of all commits with this xid, in order."""
        found = self._by_xid.get(xid, [])
        return [found] if isinstance(found, int) else list(found)

    def expected(self, collection: str, last: int, first: int = 0) -> dict[int, int]:
        """Events that commits from number `first` to `last` say they have in a table (`schema.table`), by
        xid.
        """
        numbers, counts, begin, end = self._between(collection, first, last)
        events: dict[int, int] = {}
        for number, count in zip(numbers[begin:end], counts[begin:end], strict=True):
            xid = self._xids[number - self.first]
            events[xid] = events.get(xid, 0) + count
        return events

    def total(self, collection: str, last: int) -> int:
        """How many those are, of all commits up to number `last`."""
        _, counts, begin, end = self._between(collection, 0, last)
        return sum(counts[begin:end])

    def _between(self, collection: str, first: int, last: int) -> tuple[array[int], array[int], int, int]:
        """The numbers of the commits that touched a table, their counts, and the part from `first` to
        `last`.
        """
        numbers, counts = self._counts.get(collection, (array("q"), array("q")))
        return numbers, counts, bisect_left(numbers, first), bisect_right(numbers, last)

    def collections(self) -> list[str]:
        """Every table that any commit touched."""
        return sorted(self._counts)

    def touching(self, collection: str) -> Sequence[int]:
        """The numbers of the commits that touched a table, in order."""
        return self._counts.get(collection, (array("q"), array("q")))[0]

    def counts_of(self, number: int) -> dict[str, int]:
        """What the commit's END says: events by table."""
        found = {}
        for collection, (numbers, counts) in self._counts.items():
            at = _index(numbers, number)
            if at is not None:
                found[collection] = counts[at]
        return found

    def arrays(self) -> Mapping[str, Any]:
        """The columns `number`, `xid`, `begin`, `end` of the commits from `first` on."""
        numbers = np.arange(self.first, len(self) + 1, dtype=np.int64)
        return {"number": numbers, "xid": self._xids, "begin": self._begins, "end": self._ends}

    def latest_ms(self, last: int) -> int:
        """The latest time, in ms, of the commits from `first` to `last`: it isn't always the last one's."""
        return max(self._committed_ms[: last - self.before], default=0)

    def offset_behind(self, number: int) -> int:
        """Where the transaction topic goes on behind the commit's END; only for those from `first` on."""
        return self._offsets[number - self.first] + 1

    def add(
        self,
        begin_id: str,
        end_id: str,
        committed_ms: int,
        written_ms: int,
        counts: Mapping[str, int],
        offset: int = -1,
    ) -> None:
        """Append the next commit; the ids are Debezium's, `xid:lsn`, the offset is END's."""
        xid = xid_of(end_id)
        self._xids.append(xid)
        self._begins.append(lsn_of(begin_id))
        self._ends.append(lsn_of(end_id))
        self._committed_ms.append(committed_ms)
        self._written_ms.append(written_ms)
        self._offsets.append(offset)
        number = len(self)
        before = self._by_xid.get(xid)
        if before is None:
            self._by_xid[xid] = number
        else:
            self._by_xid[xid] = ([before] if isinstance(before, int) else before) + [number]
        for collection, count in counts.items():
            numbers, events = self._counts.setdefault(collection, (array("q"), array("q")))
            numbers.append(number)
            events.append(count)


def read(rows: Iterable[Mapping[str, Any]], commits: Commits | None = None) -> Commits:
    """The commits of the transaction topic's records, given in offset order; added to `commits` if given.

    Each row has the record's `offset` and `timestamp_ms` and the value's fields. A BEGIN without END at the
    very end is a transaction that is still on its way. `IntegrityError` when BEGIN and END don't pair, or END
    contradicts itself.
    """
    commits = Commits() if commits is None else commits
    begun: str | None = None
    for row in rows:
        where = f"offset {row['offset']} of the transaction topic"
        if row["status"] == "BEGIN":
            # A connector that was killed between BEGIN and the next offset commit says BEGIN again.
            if begun is not None and xid_of(begun) != xid_of(row["id"]):
                raise IntegrityError(
                    f"The transaction {begun} has no END: {row['id']} begins at {where}. Its counts are "
                    "missing, so "
                    "nothing after it can be proven.",
                    next_step="restore to a moment before it, or from a destination that has its END",
                )
            begun = begun or row["id"]
        elif row["status"] == "END":
            if begun is None or xid_of(begun) != xid_of(row["id"]):
                raise IntegrityError(
                    f"{row['id']} ends at {where} and never began; the topic isn't in its order."
                )
            counts = {each["data_collection"]: each["event_count"] for each in row["data_collections"] or ()}
            if sum(counts.values()) != row["event_count"]:
                raise IntegrityError(
                    f"{row['id']} at {where} counts {row['event_count']} events and names {counts}."
                )
            commits.add(begun, row["id"], row["ts_ms"], row["timestamp_ms"], counts, row["offset"])
            begun = None
        else:
            raise IntegrityError(f"{where} has the status {row['status']!r}; BEGIN and END are known.")
    return commits


def _index(numbers: array[int], number: int) -> int | None:
    at = bisect_left(numbers, number)
    return at if at < len(numbers) and numbers[at] == number else None
