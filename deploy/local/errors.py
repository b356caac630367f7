"""What can go wrong while the stack is brought up or down."""

from __future__ import annotations

from replicator.errors import ReplicatorError


class StackError(ReplicatorError):
    """A part of the local stack couldn't be fetched, started or stopped; no replicated data is touched."""

    exit_code = 1
