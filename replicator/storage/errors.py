"""What can go wrong at a store, classified once: callers decide on the kind, never on a provider's text."""

from __future__ import annotations

from enum import Enum

from replicator.errors import ReplicatorError


class ErrorKind(Enum):
    """What an error means for the caller."""

    TRANSIENT = "transient"
    """The same request may succeed later: a lost connection, a server's own error, a time-out."""
    THROTTLED = "throttled"
    """The store asks for fewer requests; `retry_after` says how long, when the store said it."""
    AUTH = "auth"
    """Unknown key, wrong signature, forbidden, or a clock too far off for signatures to be accepted."""
    NOT_FOUND = "not_found"
    """No object of that key."""
    EXISTS = "exists"
    """Create-if-absent found an object of that key."""
    CORRUPT = "corrupt"
    """The bytes that arrived aren't the bytes that were sent, or that were stored."""
    FATAL = "fatal"
    """Anything else, a missing bucket included: only a person can mend it."""


class StorageError(ReplicatorError):
    """A store refused, failed or couldn't be reached.

    `retry_after` is in seconds, None when the store gave none. `code` is the provider's own word, for logs.
    """

    exit_code = 6

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        next_step: str | None = None,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.kind = kind
        self.retry_after = retry_after
        self.code = code

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed without anybody's doing.

        CORRUPT is among them: damage on the way is mended by sending again.
        """
        return self.kind in (ErrorKind.TRANSIENT, ErrorKind.THROTTLED, ErrorKind.CORRUPT)
