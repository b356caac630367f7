"""Rehearsals of the disaster: restore to a moment in a scratch PostgreSQL, compare with the source, tell."""

from replicator.drill.errors import DrillError
from replicator.drill.held import Held
from replicator.drill.history import History, Trend, keep, read, trend
from replicator.drill.result import Result, State
from replicator.drill.service import Drill, Wish

__all__ = [
    "Drill",
    "DrillError",
    "Held",
    "History",
    "Result",
    "State",
    "Trend",
    "Wish",
    "keep",
    "read",
    "trend",
]
