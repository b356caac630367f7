"""Who is in a consumer group, asked by a process of its own.

A question to a group's coordinator may end the process that asks: librdkafka's admin client (seen with 2.16)
uses what it has freed already when the connection breaks at the wrong moment.
https://github.com/confluentinc/librdkafka/pull/5397

This module is that process's program, too, so it imports nothing of the replicator.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_START_S = 30.0
"""What the process may take beside its question, on a machine that has a lot to do."""
_NO_GROUP = ("GROUP_ID_NOT_FOUND", "INVALID_GROUP_ID")


@dataclass(frozen=True, slots=True)
class Member:
    """A running member: the name that it gave itself, and where it is."""

    client_id: str
    host: str


class NoAnswerError(Exception):
    """No answer came; the text says why."""


def ask(
    settings: Mapping[str, Any],
    group: str,
    timeout_s: float,
    program: Sequence[str] = (sys.executable, "-m", __name__),
) -> list[Member]:
    """The members of the group, none if there is no such group. `NoAnswerError` when no answer comes."""
    question = json.dumps({"settings": dict(settings), "group": group, "timeout_s": timeout_s})
    try:
        done = subprocess.run(
            program, input=question, capture_output=True, text=True, timeout=timeout_s + _START_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoAnswerError("no answer in time") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise NoAnswerError(said[-1] if said else f"exit status {done.returncode}")
    return [Member(**each) for each in json.loads(done.stdout)]


class Roster:
    """The members of groups. Safe to share between threads: what many want to know is asked once."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        timeout_s: float,
        ask: Callable[[Mapping[str, Any], str, float], list[Member]] = ask,
    ) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._ask = ask
        self._asking = threading.Lock()
        self._last: dict[str, tuple[float, list[Member] | NoAnswerError]] = {}

    def members(self, group: str, since: float | None = None) -> list[Member]:
        """The members of the group as it was at `since` (by `time.monotonic`; None: now) or later;
        `NoAnswerError` when no answer came."""
        since = time.monotonic() if since is None else since
        with self._asking:
            if group not in self._last or self._last[group][0] < since:
                began = time.monotonic()
                try:
                    self._last[group] = (began, self._ask(self._settings, group, self._timeout_s))
                except NoAnswerError as error:
                    self._last[group] = (began, error)
            _, answer = self._last[group]
        if isinstance(answer, NoAnswerError):
            raise NoAnswerError(str(answer))
        return answer


def _answer(settings: dict[str, Any], group: str, timeout_s: float) -> list[Member]:
    admin = AdminClient(settings)  # a name, or it is gone before the answer comes
    asked = admin.describe_consumer_groups([group], request_timeout=timeout_s)
    try:
        found = asked[group].result(timeout_s)
    except KafkaException as error:
        if error.args[0].name() in _NO_GROUP:
            return []
        raise
    return [Member(str(each.client_id), str(each.host)) for each in found.members]


def main() -> None:
    """Answer the question on standard input; what hinders it is the last line of standard error."""
    try:
        found = _answer(**json.load(sys.stdin))
    except KafkaException as error:
        sys.exit(str(error.args[0].str() or error.args[0].name()))
    except TimeoutError:
        sys.exit("no answer in time")
    json.dump([asdict(each) for each in found], sys.stdout)


if __name__ == "__main__":
    main()
