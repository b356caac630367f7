"""Why a restore stops, each with what a person can do about it."""

from __future__ import annotations

from replicator.errors import IntegrityError, RefusedError, ReplicatorError


class HoleError(RefusedError):
    """The destination lacks records that the result would need."""


class BeforeBaseError(RefusedError):
    """The target lies before the base that the history was read from."""


class NotYetError(RefusedError):
    """The destination doesn't reach as far as the target; it may in a moment."""


class SchemaRefusedError(RefusedError):
    """The schema of that moment can't be rebuilt, or rows can't be carried across a change of it."""


class TargetRefusedError(RefusedError):
    """The target database isn't one that a restore may write into."""


class TargetFailedError(ReplicatorError):
    """The target's server failed while it was being filled; what is stored isn't in doubt."""


class PromiseBrokenError(IntegrityError):
    """A genuine restore point says that a source held more than is stored now."""


class ProofError(IntegrityError):
    """The counts of Debezium's transaction topic and the records that were read contradict each other."""
