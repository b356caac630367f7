"""Sequences, which logical decoding never sends: from the sequence log and the rows that use them."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.compare.sequences import furthest, list_sequences
from replicator.restore.moment.history import Value
from replicator.restore.target.database import Connection


def restore(connection: Connection, logged: Mapping[str, Value]) -> dict[str, Value]:
    """Set every sequence and return what it was set to.

    The newest logged value at or before the cut, or the largest value in the column that owns the sequence,
    whichever is further in the sequence's direction. A logged value out of the sequence's bounds was one's
    that had the same name before. A sequence of which nothing is known stays as it was created.
    """
    done = {}
    for sequence in list_sequences(connection):
        value = logged.get(sequence.quoted)
        if value is not None and not sequence.low <= value.last_value <= sequence.high:
            value = None
        used = furthest(connection, sequence)
        if used is not None and _further(used, value, up=sequence.up):
            value = Value(used, True)
        if value is not None:
            connection.execute(
                "SELECT setval(%s::regclass, %s, %s)", (sequence.quoted, value.last_value, value.is_called)
            )
            done[sequence.quoted] = value
    return done


def _further(used: int, value: Value | None, *, up: bool) -> bool:
    if value is None:
        return True
    beyond = used > value.last_value if up else used < value.last_value
    return beyond or (used == value.last_value and not value.is_called)
