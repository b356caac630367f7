"""What an engine has to do: work on many machines, and one text of SQL over files that all of them see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from replicator.restore.spread.task import Failure, Task
from replicator.restore.spread.writing import Written

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Runs work that is pickled. Used by several threads at once."""

    @property
    def workers(self) -> int:
        """How many pieces of work run at once."""
        ...

    def each(self, work: Callable[[T], R | Failure], items: Sequence[T]) -> list[R]:
        """What the work makes of each item, in their order; raises the error of the first `Failure`."""
        ...

    def fold(self, sql: str, relations: Mapping[str, Path], task: Task) -> list[Written]:
        """The result of the SQL over Parquet files (or directories of them) by the names of the relations,
        written by `writing.write`; in the order of the result. Raises as `each`.
        """
        ...


def results(answers: Sequence[Any]) -> list[Any]:
    """The answers, none of which is a `Failure`: the first one's error is raised."""
    for answer in answers:
        if isinstance(answer, Failure):
            raise answer.error
    return list(answers)
