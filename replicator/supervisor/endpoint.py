"""One /metrics and one /readyz for all processes of the tree."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from replicator.supervisor.figures import Labels, merged
from replicator.telemetry import RunMetrics

_PATIENCE_S = 3.0
"""A child that doesn't answer within this costs its own figures, not everybody's."""
_STANDBY = "duty"
"""The trouble that a standby's sink names while it waits to be activated: it is as it should be."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A role as the endpoint sees it: where it answers, and why it doesn't run (None while it does)."""

    name: str
    labels: Labels
    address: tuple[str, int]
    absent: str | None


class Endpoint:
    """Asks all children at once, each time it is asked. `subjects` is replaced as a whole by the loop."""

    def __init__(self, metrics: RunMetrics) -> None:
        self.subjects: Sequence[Subject] = ()
        self._metrics = metrics

    def text(self) -> bytes:
        """See `writer.process.health.Figures`: the children's figures, labelled, and the tree's own."""
        running = [subject for subject in self.subjects if subject.absent is None]
        answers = self._ask(running, "/metrics")
        pages: list[tuple[Labels, str]] = [
            (subject.labels, answer[1]) for subject, answer in zip(running, answers, strict=True) if answer
        ]
        return merged([((), self._metrics.text().decode()), *pages])

    def problems(self) -> dict[str, str]:
        """See `writer.process.health.Readiness`: by role and subject; a standby that waits is no problem."""
        found: dict[str, str] = {
            subject.name: subject.absent for subject in self.subjects if subject.absent is not None
        }
        running = [subject for subject in self.subjects if subject.absent is None]
        for subject, answer in zip(running, self._ask(running, "/readyz"), strict=True):
            if answer is None:
                found[subject.name] = "it runs, and doesn't answer /readyz yet"
                continue
            told = _problems(answer)
            if _STANDBY not in told:
                found |= {f"{subject.name}: {what}": why for what, why in told.items()}
        return found

    def _ask(self, subjects: Sequence[Subject], path: str) -> list[tuple[int, str] | None]:
        if not subjects:
            return []
        with ThreadPoolExecutor(len(subjects)) as pool:
            return list(pool.map(lambda subject: _get(subject.address, path), subjects))


def _get(address: tuple[str, int], path: str) -> tuple[int, str] | None:
    connection = http.client.HTTPConnection(*address, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError):
        return None
    finally:
        connection.close()


def _problems(answer: tuple[int, str]) -> dict[str, str]:
    status, body = answer
    if status == 200:
        return {}
    try:
        told = json.loads(body)["problems"]
        return {str(what): str(why) for what, why in told.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"readyz": f"{status} {body[:200]}"}
