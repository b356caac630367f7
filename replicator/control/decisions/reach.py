"""Which restore points destinations have reached. Pure.

A candidate is taken after the END of a transaction was seen: then every record of it, and of all before it,
lies below the ends of the partitions. Those are taken as high watermarks, not as a read_committed consumer's
ends: Kafka writes a transaction's markers partition by partition, so that END can be readable in its
partition while a row of the same transaction isn't yet in its own, and its offset would be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replicator.segment.name import Chain, Place
from replicator.writer.kafka.commits import Committed

_MOST = 128
"""So many candidates are kept; beyond it every second of the older half goes."""


@dataclass(frozen=True, slots=True)
class End:
    """The END of a transaction: its commit, and where it stands in the transaction topic."""

    lsn: int
    xid: int
    committed_ms: int
    offset: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A commit, and offsets below which all its records and all earlier ones lie. `seen_at` in seconds."""

    end: End
    ends: Mapping[Chain, int]
    seen_at: float


class Reach:
    """The newest candidate that each destination has passed, and those that are still ahead of it."""

    def __init__(self) -> None:
        self._candidates: list[Candidate] = []
        self._reached: dict[str, Candidate] = {}

    def offer(self, candidate: Candidate) -> None:
        """Add a candidate; one that isn't later than the newest is ignored."""
        if self._candidates and candidate.end.offset <= self._candidates[-1].end.offset:
            return
        self._candidates.append(candidate)
        if len(self._candidates) > _MOST:
            half = len(self._candidates) // 2
            self._candidates = self._candidates[:half:2] + self._candidates[half:]

    def look(
        self, destination: str, commits: Mapping[Place, Committed], ends: Mapping[Chain, int]
    ) -> Candidate | None:
        """The newest candidate that the destination's commits have passed; None before the first.

        `ends` are the partitions that exist now: one that a candidate doesn't know counts with all it has,
        because it may have been made just before the candidate was taken.
        """
        for candidate in reversed(self._candidates):
            if passed(candidate, commits, ends):
                self._reached[destination] = candidate
                break
        return self._reached.get(destination)

    def forget(self, destination: str) -> None:
        """What the destination has reached is no longer known (it was released, or begins anew)."""
        self._reached.pop(destination, None)


def passed(candidate: Candidate, commits: Mapping[Place, Committed], ends: Mapping[Chain, int]) -> bool:
    """Whether everything below the candidate's ends is committed, in the same incarnation of each topic."""
    wanted = {**{chain: end for chain, end in ends.items() if chain not in candidate.ends}, **candidate.ends}
    for chain, end in wanted.items():
        if end == 0:
            continue
        committed = commits.get(chain.place)
        if committed is None or committed.offset < end or committed.topic_id != chain.topic_id:
            return False
    return True
