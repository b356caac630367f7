"""Whether the slot still has every change that Connect hasn't committed to Kafka. The judgement is pure.

Debezium with `offset.mismatch.strategy=trust_offset` refuses to stream over such a hole; this says why, and
what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.source.database import Connection


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as `pg_replication_slots` has it; LSNs as numbers."""

    active: bool
    wal_status: str
    confirmed: int | None
    behind: int
    """Bytes between the newest change and what the connector has confirmed."""
    safe_wal_size: int | None
    """Bytes that may still be written before the slot is lost; None where nothing limits them."""


def read_slot(connection: Connection, name: str) -> Slot | None:
    """The slot of that name; None when there is none."""
    row = connection.execute(
        """
        SELECT active, coalesce(wal_status, 'reserved'), (confirmed_flush_lsn - '0/0')::int8,
            coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::int8, safe_wal_size
        FROM pg_replication_slots WHERE slot_name = %s
        """,
        (name,),
    ).fetchone()
    if row is None:
        return None
    return Slot(bool(row[0]), str(row[1]), row[2], int(row[3]), row[4])


def committed(offsets: Sequence[Mapping[str, Any]]) -> int | None:
    """The LSN up to which Connect has committed records to Kafka; None before the first commit.

    `offsets` is Connect's answer for the connector; `lsn_proc` is Debezium's last completely processed LSN.
    """
    for entry in offsets:
        offset = entry.get("offset") or {}
        if offset.get("snapshot") and not offset.get("snapshot_completed"):
            # The snapshot was interrupted: Debezium takes it again from the start, so nothing is lost.
            continue
        lsn = offset.get("lsn_proc") or offset.get("lsn")
        if lsn is not None:
            return int(lsn)
    return None


def hole(slot: Slot | None, stored: int | None) -> str | None:
    """What is lost for good, in words; None when nothing is. `stored` is what `committed` gives."""
    if slot is not None and slot.wal_status == "lost":
        return "the slot is lost: PostgreSQL removed WAL that it still needed (max_slot_wal_keep_size)"
    if stored is None:
        return None
    position = f"{stored >> 32:X}/{stored & 0xFFFFFFFF:X}"
    if slot is None:
        return f"the slot is gone, though Kafka holds changes up to {position} only"
    if slot.confirmed is not None and slot.confirmed > stored:
        begins = f"{slot.confirmed >> 32:X}/{slot.confirmed & 0xFFFFFFFF:X}"
        return f"the slot begins at {begins}, Kafka ends at {position}: it was made anew, or read by another"
    return None


CURE = (
    "the changes in between can't be had back from WAL: `replicator connect remove --purge`, then a new "
    "installation (a new name, a new snapshot); keep the old destinations for moments before"
)
