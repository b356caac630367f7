"""What letters say is missing, brought into a destination: from Kafka, from the letters, from another one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from replicator.deadletter.letter import Kind, Letter, Reason, record_letter
from replicator.deadletter.topic import LetterTopic
from replicator.errors import ReplicatorError
from replicator.replay import copying, stored
from replicator.replay.composing import compose, schemas_of
from replicator.replay.kafka_range import GoneError, RangeReader
from replicator.replay.texts import Texts
from replicator.segment.container import Segment
from replicator.segment.name import Chain
from replicator.segment.ranges import Ranges
from replicator.segment.splice import Columns
from replicator.storage import ObjectStore
from replicator.writer.partition.triage import Unfit
from replicator.writer.process import failpoints

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing of what the letter is about is missing any more."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """The case stays open. `hopeless`: nothing that passes by itself will change that."""

    detail: str
    hopeless: bool = False


Outcome = Closed | Stuck


class Closer:
    """Closes the cases of one destination. One thread at a time."""

    def __init__(
        self,
        store: ObjectStore,
        others: Mapping[str, ObjectStore],
        reader: RangeReader,
        texts: Texts,
        letters: LetterTopic,
        cluster_id: str,
    ) -> None:
        """`others` are the destinations to copy from where Kafka has nothing any more, by name."""
        self._store = store
        self._others = others
        self._reader = reader
        self._texts = texts
        self._letters = letters
        self._cluster_id = cluster_id

    def close_range(self, letter: Letter) -> Outcome:
        """Bring the range of a letter. What of it can't be understood gets letters of its own.

        Raises nothing that a later attempt may not meet: that is the answer then.
        """
        try:
            return self._close_range(letter)
        except ReplicatorError as error:
            return Stuck(error.message)

    def close_records(self, letters: Sequence[Letter]) -> dict[str, Outcome]:
        """Bring the records of letters of one chain, in offset order; what became of each, by its id."""
        outcomes: dict[str, Outcome] = {}
        for run in _neighbours(letters):
            try:
                outcomes |= self._close_records(run)
            except ReplicatorError as error:
                outcomes |= {letter.id: Stuck(error.message) for letter in run}
        return outcomes

    def _close_range(self, letter: Letter) -> Outcome:
        chain = letter.chain
        holes = stored.holes(self._store, chain, letter.first, letter.next)
        if not holes:
            return Closed(Reason.STORED, "The destination holds the range.")
        why: list[str] = []
        copied: set[str] = set()
        for first, next_ in holes:
            try:
                columns = self._reader.read(chain, first, next_)
            except GoneError as error:
                name = self._copy(chain, first, next_, narrow=False)
                if name is None:
                    why.append(f"{error.message}, and no other destination has all of it.")
                else:
                    copied.add(name)
                continue
            segments, unfit = self._compose(chain, first, next_, columns)
            self._letters.write(unfit)
            self._put(segments)
        if why:
            return Stuck(" ".join(why), hopeless=True)
        if copied:
            return Closed(Reason.COPIED, f"It was copied from {', '.join(sorted(copied))}.")
        return Closed(Reason.STORED, "It was read from Kafka again and stored.")

    def _close_records(self, letters: Sequence[Letter]) -> dict[str, Outcome]:
        chain, first, next_ = letters[0].chain, letters[0].first, letters[-1].next
        missing = stored.lacking(self._store, chain, first, next_)
        outcomes: dict[str, Outcome] = {}
        for run in _neighbours(letter for letter in letters if _overlaps(letter, missing)):
            outcomes |= self._store_records(run)
        missing = stored.lacking(self._store, chain, first, next_)
        for letter in letters:
            if not _overlaps(letter, missing):
                outcomes[letter.id] = Closed(Reason.STORED, "The destination holds the record.")
                continue
            name = self._copy(chain, letter.first, letter.next, narrow=True)
            if name is not None:
                outcomes[letter.id] = Closed(Reason.COPIED, f"It was copied from {name}.")
            else:
                outcomes.setdefault(letter.id, Stuck("The record is still missing."))
        return outcomes

    def _store_records(self, letters: Sequence[Letter]) -> dict[str, Outcome]:
        """Store what of these neighbours can be stored now; why not, for the others."""
        chain, first, next_ = letters[0].chain, letters[0].first, letters[-1].next
        try:
            columns = _columns(letters) or self._reader.read(chain, first, next_)
        except GoneError as error:
            return {letter.id: Stuck(error.message, hopeless=True) for letter in letters}
        segments, unfit = self._compose(chain, first, next_, columns)
        self._put(segments)
        return {
            again.id: Stuck(again.detail, hopeless=again.reason is Reason.NOT_WIRE_FORMAT) for again in unfit
        }

    def _compose(
        self, chain: Chain, first: int, next_: int, columns: Columns
    ) -> tuple[list[Segment], list[Letter]]:
        failpoints.reach("replay_read")
        refusals = self._texts.learn(schemas_of(columns))
        now_ms = time.time_ns() // 1_000_000

        def letter_of(unfit: Unfit) -> Letter:
            destination = self._letters.destination
            return record_letter(
                destination, chain, unfit.offset, unfit.record, unfit.reason, unfit.detail, now_ms
            )

        done = compose(chain, first, next_, columns, self._cluster_id, self._texts.text, refusals, letter_of)
        return done.segments, done.letters

    def _put(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            self._store.put(segment.name.key(), segment.body, sha256=segment.sha256)
            _log.info("filled", segment=segment.name.key(), bytes=len(segment.body))
            failpoints.reach("replay_stored")

    def _copy(self, chain: Chain, first: int, next_: int, *, narrow: bool) -> str | None:
        """Copy the range from the first other destination that lacks nothing of it; that one's name."""
        for name, other in self._others.items():
            try:
                if stored.lacking(other, chain, first, next_):
                    continue
                if narrow:
                    self._put(copying.cut(other, chain, first, next_))
                else:
                    copying.whole(other, self._store, chain, Ranges.of([(first, next_)]))
                    failpoints.reach("replay_stored")
            except ReplicatorError as error:
                _log.warning("another destination can't help", destination=name, error=str(error))
            else:
                return name
        return None


def _neighbours(letters: Iterable[Letter]) -> list[list[Letter]]:
    """Runs of letters whose ranges touch."""
    runs: list[list[Letter]] = []
    for letter in letters:
        if runs and runs[-1][-1].next == letter.first:
            runs[-1].append(letter)
        else:
            runs.append([letter])
    return runs


def _overlaps(letter: Letter, missing: Iterable[tuple[int, int]]) -> bool:
    return any(first < letter.next and letter.first < next_ for first, next_ in missing)


def _columns(letters: Sequence[Letter]) -> Columns | None:
    """The records of the letters; None if one of them has none, because it is too large for a letter."""
    records = [letter.record for letter in letters if letter.record is not None]
    if len(records) < len(letters) or any(letter.kind is not Kind.RECORD for letter in letters):
        return None
    return Columns(
        offsets=[letter.first for letter in letters],
        timestamps=[record.timestamp for record in records],
        keys=[record.key for record in records],
        values=[record.value for record in records],
        headers=[list(record.headers) or None for record in records],
    )
