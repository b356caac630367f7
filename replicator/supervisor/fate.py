"""What becomes of a role whose process ended: started again, later and later, or given up. Pure."""

from __future__ import annotations

from enum import StrEnum
from random import Random

from replicator.config import Run
from replicator.errors import ConfigError

_CONFIG_TRIES = 3
"""A configuration that is wrong stays wrong; a few tries are for one that is being written just now."""


class Stage(StrEnum):
    """Where a role stands."""

    WAITING = "waiting"
    """It is started when its time comes."""
    RUNNING = "running"
    GIVEN_UP = "given_up"
    """Only a person can help: its configuration is refused again and again."""
    ENDED = "ended"
    """It was told to end, and has."""


class Fate:
    """One role's way through its processes. `now` is monotonic, in seconds."""

    def __init__(self, settings: Run, random: Random, now: float) -> None:
        self._settings = settings
        self._random = random
        self._started_at = now
        self._attempt = 0
        self._refused = 0
        self._ending = False
        self.stage = Stage.WAITING
        self.due_at = now
        self.reason = "it wasn't started yet"

    def due(self, now: float) -> bool:
        """Whether its process is to be started now."""
        return self.stage is Stage.WAITING and now >= self.due_at

    def started(self, now: float) -> None:
        """Its process runs."""
        self.stage, self._started_at, self.reason = Stage.RUNNING, now, ""

    def ended(self, status: int, now: float) -> None:
        """Its process ended with that exit status, negative for a signal's number.

        The wait before the next one has full jitter: children of one cause don't come back as one herd.
        """
        self.reason = words(status)
        if self._ending:
            self.stage = Stage.ENDED
            return
        self._refused = self._refused + 1 if status == ConfigError.exit_code else 0
        if self._refused >= _CONFIG_TRIES:
            self.stage = Stage.GIVEN_UP
            return
        if now - self._started_at >= self._settings.steady_s:
            self._attempt = 0
        longest = min(self._settings.backoff_max_s, self._settings.backoff_s * 2 ** min(self._attempt, 30))
        self._attempt += 1
        self.stage = Stage.WAITING
        self.due_at = now + self._random.uniform(0.0, longest)

    def end(self) -> None:
        """Everything is to end: it isn't started again."""
        self._ending = True
        if self.stage is not Stage.RUNNING:
            self.stage = Stage.ENDED

    def retry(self, now: float) -> None:
        """A person has mended something: what was given up, or waits, is started now."""
        if self.stage in (Stage.GIVEN_UP, Stage.WAITING) and not self._ending:
            self._refused = self._attempt = 0
            self.stage, self.due_at = Stage.WAITING, now


def words(status: int) -> str:
    """An exit status for people."""
    if status < 0:
        return f"it was ended by signal {-status}"
    if status == ConfigError.exit_code:
        return "its configuration was refused (exit status 2)"
    return f"it ended with exit status {status}"
