"""What can go wrong, told to a person: what happened, what it means for the data, what to do next."""

from __future__ import annotations


class ReplicatorError(Exception):
    """An error that the command line prints as it is, without a traceback.

    `next_step` is the one thing to do first; `exit_code` is the process's exit status.
    """

    exit_code = 1

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}" if self.next_step else self.message


class ConfigError(ReplicatorError):
    """The configuration or the command line asks for something that can't be; nothing was touched."""

    exit_code = 2


class SourceError(ReplicatorError):
    """PostgreSQL, Connect or Debezium isn't in the state that an exact capture needs."""

    exit_code = 3


class RefusedError(ReplicatorError):
    """An exact result isn't possible, and an approximate one is never handed over."""

    exit_code = 4


class IntegrityError(ReplicatorError):
    """Stored data contradicts its own name, checksum, count or order."""

    exit_code = 5


class KafkaError(ReplicatorError):
    """The broker, a topic or the consumer group is not what the sink can safely go on with."""

    exit_code = 7
