"""One pass over a destination's open letters: close what can be, settle it, escalate what can't be."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import structlog

from replicator.deadletter.box import Box, Case
from replicator.deadletter.letter import Kind, Letter, Reason
from replicator.deadletter.topic import LetterTopic
from replicator.replay.closing import Closed, Closer, Outcome, Stuck
from replicator.replay.listener import NOBODY, Listener
from replicator.segment.name import Chain
from replicator.telemetry import ReplayMetrics
from replicator.writer.process import failpoints

_log = structlog.get_logger()
_BASE_S = 2.0
_CAP_S = 300.0


@dataclass(slots=True)
class _Patience:
    attempts: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class Pass:
    """What one pass did, by the letters' ids."""

    closed: dict[str, Closed] = field(default_factory=dict)
    stuck: dict[str, Stuck] = field(default_factory=dict)
    waiting: int = 0
    """Cases whose next attempt isn't due."""


class Office:
    """Works the letters of one destination, each with a backoff of its own. One thread at a time."""

    def __init__(
        self,
        letters: LetterTopic,
        closer: Closer,
        metrics: ReplayMetrics,
        *,
        escalate_after_s: float,
        by: str,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = NOBODY,
    ) -> None:
        """A case that stays open for `escalate_after_s` seconds, or that no time will mend, is escalated."""
        self._listener = listener
        self._letters = letters
        self._closer = closer
        self._metrics = metrics
        self._escalate_after_s = escalate_after_s
        self._by = by
        self._clock = clock
        self._patience: dict[str, _Patience] = {}

    def work(self, box: Box, only: Collection[str] | None = None) -> Pass:
        """Try the cases that are due, or `only` those, due or not.

        `KafkaError` when settlements can't be written: what was stored is found stored by the next pass.
        """
        unsettled = box.unsettled()
        needed = [case.letter for case in unsettled if case.escalation is not None]
        now = self._clock()
        self._patience = {
            case.letter.id: self._patience.get(case.letter.id, _Patience()) for case in unsettled
        }
        chosen = [
            case
            for case in unsettled
            if (
                case.letter.id in only
                if only is not None
                else self._patience[case.letter.id].not_before <= now
            )
        ]
        done = Pass(waiting=len(unsettled) - len(chosen))
        for case in chosen:
            if case.letter.kind is Kind.RANGE:
                self._conclude([case], {case.letter.id: self._closer.close_range(case.letter)}, done)
        # Neighbours go together: a thousand records are one small segment, not a thousand.
        for cases in _by_chain(case for case in chosen if case.letter.kind is Kind.RECORD):
            outcomes = self._closer.close_records([case.letter for case in cases])
            self._conclude(cases, outcomes, done)
        left = [case.state for case in box.unsettled()]
        for state in ("open", "escalated"):
            self._metrics.letters.labels(state).set(left.count(state))
        if needed and "escalated" not in left:
            self._listener.none_left(needed[0].destination, self._by)
        return done

    def _conclude(self, cases: list[Case], outcomes: dict[str, Outcome], done: Pass) -> None:
        answers: list[Letter] = []
        now_ms = time.time_ns() // 1_000_000
        for case in cases:
            letter, outcome = case.letter, outcomes[case.letter.id]
            if isinstance(outcome, Closed):
                done.closed[letter.id] = outcome
                answers.append(
                    letter.answered(Kind.SETTLEMENT, outcome.reason, outcome.detail, now_ms, self._by)
                )
                continue
            done.stuck[letter.id] = outcome
            self._put_off(letter.id)
            age_s = (now_ms - letter.written_at) / 1000
            if case.escalation is None and (outcome.hopeless or age_s >= self._escalate_after_s):
                answers.append(
                    letter.answered(Kind.ESCALATION, Reason.UNRESOLVED, outcome.detail, now_ms, self._by)
                )
        escalations = [answer for answer in answers if answer.kind is Kind.ESCALATION]
        if escalations:
            # Before the record: who is killed between the two tells it again, and never not at all.
            self._listener.escalated(escalations)
        self._letters.write(answers)
        for case, answer in zip(
            [case for case in cases if case.letter.id in {each.id for each in answers}], answers, strict=True
        ):
            if answer.kind is Kind.SETTLEMENT:
                case.settlement = answer
                self._metrics.settled.labels(answer.reason.value).inc()
                _log.info("settled", id=answer.id, what=str(answer), how=answer.detail)
            else:
                case.escalation = answer
                self._metrics.escalated.inc()
                _log.error(
                    "a dead letter can't be closed without you: the destination lacks these records, and a "
                    "restore that needs them is refused",
                    id=answer.id,
                    what=str(answer),
                    why=answer.detail,
                    next="mend what it names; or, if nobody misses the records: "
                    f"replicator dlq discard {answer.destination} {answer.id} --reason …",
                )
        if answers:
            failpoints.reach("replay_settled")

    def _put_off(self, id_: str) -> None:
        patience = self._patience.setdefault(id_, _Patience())
        patience.attempts += 1
        bound = min(_CAP_S, _BASE_S * 2.0 ** min(patience.attempts - 1, 20))
        patience.not_before = self._clock() + bound * random.uniform(0.5, 1.0)


def _by_chain(cases: Iterable[Case]) -> list[list[Case]]:
    chains: dict[Chain, list[Case]] = {}
    for case in cases:
        chains.setdefault(case.letter.chain, []).append(case)
    for members in chains.values():
        members.sort(key=lambda case: case.letter.first)
    return list(chains.values())
