"""Whether everything that was captured belongs to some table: to one that is there at the cut, or to one that
was dropped before it.

Twice: what END counts, by transaction, of every name; and each record of the topics that are read, by its
own LSN. Counting is by name, so a record under a name that no table had then would agree with it, and be
nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replicator.debezium import envelope
from replicator.debezium.envelope import lsn_text
from replicator.debezium.transactions import Commits
from replicator.restore.errors import SchemaRefusedError
from replicator.restore.schema.ddl import DdlRow
from replicator.restore.schema.naming import START, Held, Span
from replicator.restore.segments.frames import Frame
from replicator.restore.segments.records import LSN, OFFSET, Chunk

_EXTENSIONS = ("CREATE EXTENSION", "ALTER EXTENSION")
_UNTOLD = (
    "`replicator source dump` at the source logs what is there now, and makes moments from then on possible; "
    "find out who ran DDL with event triggers switched off"
)


def check_commits(
    held: Held,
    commits: Commits,
    last: int,
    captured: Callable[[str, str], bool],
    extensions: Collection[int] = (),
) -> None:
    """Every commit up to `last` counts events of tables alone that had that name while it ran.

    What the commits in `extensions` wrote into tables that the log doesn't know came with an extension, and
    comes with it again. `SchemaRefusedError` names the first other commit, and the moment before it.
    """
    found = []
    begins, ends = (np.array(commits.arrays()[name], np.int64) for name in ("begin", "end"))
    for collection in commits.collections():
        spans = held.of(collection)
        if spans == ((START, None),) or not captured(*collection.split(".", 1)):
            continue
        numbers = np.array(commits.touching(collection), np.int64)
        numbers = numbers[numbers <= last]
        begin, end = begins[numbers - commits.first], ends[numbers - commits.first]
        strays = numbers[~_within(spans, end, begin)]
        if not spans:
            strays = strays[~np.isin(strays, list(extensions))]
        if len(strays):
            found.append((int(strays[0]), collection))
    if found:
        number, collection = min(found)
        raise SchemaRefusedError(
            f"{commits[number]} changed rows of {collection}, and by the DDL log no table had that name "
            "then: whose rows they are can't be told.",
            next_step=f"{_before(commits, number)}; {_UNTOLD}",
        )


def extensions(rows: Sequence[DdlRow]) -> set[int]:
    """The commits in which extensions were made or altered: the tables they bring aren't logged one by
    one.
    """
    return {row.commit for row in rows if row.tag in _EXTENSIONS}


@dataclass(frozen=True, slots=True)
class Belonging:
    """By topic the spans in which its name was a table's; of topics that aren't in it all is believed."""

    commits: Commits
    spans: Mapping[str, Sequence[Span]] = field(default_factory=dict)

    def check(self, frame: Frame, chunk: Chunk) -> None:
        """Each of the chunk's records was written while some table had the topic's name; the chunk has LSN
        and operation. `SchemaRefusedError` names the first other one.
        """
        spans = self.spans.get(frame.topic)
        # What a base has was looked at when it was made.
        if spans is None or frame.of_base or tuple(spans) == ((START, None),):
            return
        lsns = chunk.values(LSN)
        lsns = np.where(chunk.operations() == ord(envelope.READ), START + 1, lsns)
        strays = ~_within(spans, lsns, lsns)
        if not strays.any():
            return
        at = int(np.argmax(strays))
        offset, lsn = int(chunk.values(OFFSET)[at]), int(chunk.values(LSN)[at])
        before = int(np.searchsorted(np.array(self.commits.arrays()["end"], np.int64), lsn, "left"))
        raise SchemaRefusedError(
            f"The record at offset {offset} of {frame.topic}, partition {frame.partition}, was written at "
            f"LSN {lsn_text(lsn)}, and by the DDL log no table had that name then: whose row it is can't be "
            "told.",
            next_step=f"{_before(self.commits, self.commits.first + before)}; {_UNTOLD}",
        )


def _within(spans: Sequence[Span], ends: Any, begins: Any) -> Any:
    """For each stretch of the WAL whether a part of it lies in one of the spans."""
    found = np.zeros(len(ends), bool)
    for after, until in spans:
        inside = ends > after
        found |= inside if until is None else inside & (begins <= until)
    return found


def _before(commits: Commits, number: int) -> str:
    if number <= 1 or number - 1 < commits.before:
        return "it came with the first transaction, so no moment lies before it"
    return f"the nearest possible moment is just before it: --to-lsn {lsn_text(commits[number - 1].end)}"
