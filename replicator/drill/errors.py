"""Why a drill couldn't be held to its end; what a restore refuses keeps its own error."""

from __future__ import annotations

from replicator.errors import ReplicatorError


class DrillError(ReplicatorError):
    """Something that the rehearsal needs isn't there or broke; it says nothing about what is stored."""
