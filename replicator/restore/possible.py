"""What moments a destination can be restored to: its ends, the marks between them, and what is missing.

Found as a plan finds it, from names, small topics and first records; only a restore counts every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from replicator.config import Config
from replicator.errors import ReplicatorError
from replicator.points import RestorePoint
from replicator.restore import opening
from replicator.restore.errors import HoleError
from replicator.restore.moment import cut, marked, nearest
from replicator.restore.moment.cut import Cut, Latest, ToLsn
from replicator.restore.moment.history import Topics
from replicator.restore.moment.marked import Marked
from replicator.restore.moment.nearest import Refused
from replicator.restore.segments.catalog import Hole


@dataclass(frozen=True, slots=True)
class Possible:
    """What `destination` (one, or several together) can be restored to.

    `oldest` and `newest` are the ends, None where nothing is possible at all; `refused` then says why.
    `refused_newest` says why `--latest` would be refused, None where it wouldn't.
    """

    destination: str
    oldest: Cut | None = None
    newest: Cut | None = None
    transactions: int = 0
    stored: int = 0
    """Transactions whose END is stored; those beyond `newest` lack rows."""
    marks: tuple[Marked, ...] = ()
    holes: tuple[Hole, ...] = ()
    point: RestorePoint | None = None
    """The newest genuine restore point."""
    refused: str | None = None
    refused_newest: str | None = None
    refusals: tuple[Refused, ...] = ()
    """Moments that the schema refuses, between the ends and around them."""

    def as_json(self) -> dict[str, Any]:
        """For scripts; times in UTC."""
        return {
            "destination": self.destination,
            "oldest": self.oldest and self.oldest.as_json(),
            "newest": self.newest and self.newest.as_json(),
            "transactions": self.transactions,
            "transactions_stored": self.stored,
            "marks": [mark.as_json() for mark in self.marks],
            "holes": [
                {
                    "topic": hole.chain.topic,
                    "partition": hole.chain.partition,
                    "first": hole.first,
                    "next": hole.next,
                }
                for hole in self.holes
            ],
            "restore_point": None if self.point is None else cut.time_text(self.point.committed_ms * 1000),
            "refused": self.refused,
            "refused_newest": self.refused_newest,
            "refused_moments": [each.as_json() for each in self.refusals],
        }


def read(config: Config, sources: Sequence[str]) -> Possible:
    """What these destinations together can be restored to; what keeps them from it is told, not raised.

    `ConfigError` for a name that isn't configured.
    """
    told = " and ".join(sources)
    for name in sources:
        config.destination(name)
    try:
        with opening.opened(config, sources, opening.Limits(), None) as found:
            return of(told, found)
    except ReplicatorError as error:
        return Possible(told, refused=str(error))


def of(told: str, found: opening.Opened) -> Possible:
    """What the opened destinations can be restored to, `told` being their name; raises as a plan does."""
    history, planner = found.history, found.planner
    commits, point = history.commits, history.point
    holes = planner.holes(history)
    reached = nearest.reach(found.fetcher, history, found.catalog, holes)
    promised = found.promises.newest
    try:
        topics = Topics(found.fetcher, found.catalog, planner.installation, planner.base)
        marks = marked.read(topics, commits, planner.base)
    except HoleError:
        marks = ()  # the hole itself is told
    if reached < commits.before:
        why = f"It lacks rows of the initial snapshot: {holes[0]}."
        return Possible(told, stored=len(commits), marks=marks, holes=holes, refused=why)
    refused = None
    try:
        if reached < len(commits):
            made = planner.plan(history, ToLsn(cut.describe(reached, commits, point).lsn))
        else:
            made = planner.plan(history, Latest())
        last = made.cut.number
    except ReplicatorError as error:
        last, refused = reached, str(error)
    ranges = list(nearest.spans(history.ddl, commits.before, last, partial(planner.refusal, history)))
    gaps = tuple(
        Refused(cut.describe(first, commits, point), cut.describe(final, commits, point), why)
        for first, final, why in ranges
    )
    oldest, newest = _ends(commits.before, last, ranges)
    if oldest > newest:
        return Possible(told, stored=len(commits), marks=marks, holes=holes, refused=refused, refusals=gaps)
    return Possible(
        told,
        cut.describe(oldest, commits, point),
        cut.describe(newest, commits, point),
        newest,
        len(commits),
        tuple(mark for mark in marks if mark.number >= commits.before),
        holes,
        None if promised is None else promised.point,
        refused_newest=refused,
        refusals=gaps,
    )


def _ends(first: int, last: int, ranges: Sequence[tuple[int, int, str]]) -> tuple[int, int]:
    """The ends of what is possible: `ranges`, in order, are refused."""
    for begin, end, _ in ranges:
        first = end + 1 if begin <= first <= end else first
    for begin, end, _ in reversed(ranges):
        last = begin - 1 if begin <= last <= end else last
    return first, last
