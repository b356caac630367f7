"""All letters of a destination, folded: what is open, what was settled, and what can't be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from replicator.deadletter.letter import Kind, Letter
from replicator.errors import ConfigError, ReplicatorError
from replicator.segment.name import Chain
from replicator.segment.ranges import Ranges


@dataclass(slots=True)
class Case:
    """A letter and what became of it. A letter that comes again after its settlement opens the case anew."""

    letter: Letter
    settlement: Letter | None = None
    escalation: Letter | None = None
    times: int = 1
    """How often the letter was written."""

    @property
    def state(self) -> str:
        """open, escalated or settled."""
        if self.settlement is not None:
            return "settled"
        return "open" if self.escalation is None else "escalated"


@dataclass(slots=True)
class Box:
    """The cases of one destination by the id of their letter, in the order in which they came up."""

    topic: str
    cases: dict[str, Case] = field(default_factory=dict)
    unreadable: list[ReplicatorError] = field(default_factory=list)
    """One for each record that isn't a letter of a format that is known."""

    def put(self, letter: Letter) -> None:
        """Take the next letter of the topic."""
        case = self.cases.get(letter.id)
        if letter.kind is Kind.SETTLEMENT:
            if case is not None:
                case.settlement = letter
        elif letter.kind is Kind.ESCALATION:
            if case is not None:
                case.escalation = letter
        elif case is None:
            self.cases[letter.id] = Case(letter)
        else:
            if case.settlement is not None:
                case.settlement = case.escalation = None
            case.letter = letter
            case.times += 1

    def unsettled(self) -> list[Case]:
        """The cases that aren't closed."""
        return [case for case in self.cases.values() if case.settlement is None]

    def open_ranges(self) -> dict[Chain, Ranges]:
        """What of each chain the destination may lack, because of a letter that isn't settled."""
        found: dict[Chain, Ranges] = {}
        for case in self.unsettled():
            letter = case.letter
            known = found.get(letter.chain, Ranges())
            found[letter.chain] = known | Ranges.of([(letter.first, letter.next)])
        return found

    def find(self, beginning: str) -> Case:
        """The case whose id begins so; `ConfigError` if there is none or more than one."""
        found = [case for id_, case in self.cases.items() if id_.startswith(beginning.lower())]
        if len(found) == 1:
            return found[0]
        what = "more than one letter" if found else "no letter"
        raise ConfigError(
            f"There is {what} whose id begins with {beginning!r} in {self.topic}.",
            next_step="`replicator dlq list` shows the ids (with --all also those of settled letters)",
        )


def select(
    cases: Iterable[Case],
    *,
    kind: str | None = None,
    topic: str | None = None,
    reason: str | None = None,
    state: str | None = None,
) -> list[Case]:
    """The cases that match all that is given."""
    return [
        case
        for case in cases
        if (kind is None or case.letter.kind.value == kind)
        and (topic is None or case.letter.chain.topic == topic)
        and (reason is None or case.letter.reason.value == reason)
        and (state is None or case.state == state)
    ]
