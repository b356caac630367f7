"""Restore points on their way: which is due, signed, put into the destination, then told to the topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from replicator.control.decisions.reach import Candidate
from replicator.deadletter.box import Box
from replicator.errors import ReplicatorError
from replicator.points import ChainEnd, RestorePoint, SignedPoint, Signer
from replicator.points.stored import publish
from replicator.storage import ObjectStore
from replicator.writer.destination import mark
from replicator.writer.process.pool import Pool, Supervisor

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Author:
    """What all points of one leader have in common."""

    installation: str
    cluster_id: str
    epoch: int
    signer: Signer

    def write(self, destination: str, candidate: Candidate, made_ms: int) -> SignedPoint:
        """The signed point of a candidate that the destination has reached."""
        ends = tuple(
            sorted(
                ChainEnd(chain.topic, chain.topic_id, chain.partition, end)
                for chain, end in candidate.ends.items()
            )
        )
        point = RestorePoint(
            self.installation,
            self.cluster_id,
            destination,
            candidate.end.lsn,
            candidate.end.xid,
            candidate.end.committed_ms,
            candidate.end.offset,
            made_ms,
            self.epoch,
            ends,
        )
        return self.signer.sign(point)


class Publisher:
    """One destination's points: at most one on its way, none oftener than every `every_s` seconds."""

    def __init__(
        self,
        destination: str,
        author: Author,
        open_store: Callable[[], ObjectStore],
        letters: Callable[[], Box],
        every_s: float,
        supervisor: Supervisor,
        *,
        others: Collection[str] = (),
    ) -> None:
        """`others` are the installation's destinations: a place that is one of them gets no point of this."""
        self._letters = letters
        self._others = others
        self.hole: str | None = None
        """What the destination lacks below the last candidate, in words: no point may pass over it."""
        self._destination = destination
        self._author = author
        self._open = open_store
        self._store: ObjectStore | None = None
        self._every_s = every_s
        self._pool = Pool(f"points-{destination}", 1, supervisor)
        self._busy = False
        self._put: SignedPoint | None = None
        self._next_at = 0.0
        self._tried: int | None = None

    def offer(self, reached: Candidate, published: RestorePoint | None, now: float) -> None:
        """Have the candidate published if one is due; `published` is the newest one, `now` is monotonic."""
        newer = published is None or reached.end.lsn > published.lsn
        if self._busy or self._put is not None or not newer or now < self._next_at:
            return
        self._busy = True
        self._next_at = now + self._every_s
        signed = self._author.write(self._destination, reached, int(time.time() * 1000))
        self._pool.submit(lambda: self._work(signed))

    def stored(self) -> SignedPoint | None:
        """A point that is in the destination and has to be told to the topic, once."""
        put, self._put = self._put, None
        return put

    def close(self) -> None:
        """Publish no more."""
        self._pool.close()

    def _work(self, signed: SignedPoint) -> None:
        try:
            if self._store is None:
                store = self._open()
                # The lane has committed, so its mark is there: an emptied or foreign bucket gets no point.
                mark(
                    store,
                    self._author.installation,
                    self._author.cluster_id,
                    lambda: True,
                    name=self._destination,
                    others=self._others,
                )
                self._store = store
            # Read after the commits: whoever commits past a record has written its letter before.
            self.hole = hole(self._letters(), signed.point)
            if self.hole is not None:
                _log.warning(
                    "no restore point: something is missing below it",
                    destination=self._destination,
                    hole=self.hole,
                )
                return
            publish(self._store, signed)
            self._put = signed
        except ReplicatorError as error:
            # The next one is newer, and says more; this one isn't missed.
            _log.warning(
                "a restore point couldn't be put", destination=self._destination, error=error.message
            )
        finally:
            self._busy = False


def hole(box: Box, point: RestorePoint) -> str | None:
    """What open letters say is missing below the point's ends, in words; None when nothing is. Pure."""
    ends = {(each.topic, each.topic_id, each.partition): each.end for each in point.ends}
    below = [
        case.letter
        for case in box.unsettled()
        if case.letter.first
        < ends.get((case.letter.chain.topic, case.letter.chain.topic_id, case.letter.chain.partition), 0)
    ]
    if not below:
        return f"{len(box.unreadable)} letters can't be read" if box.unreadable else None
    return f"{len(below)} dead letters are open, the first about {below[0]}"
