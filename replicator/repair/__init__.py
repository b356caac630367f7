"""Mending a destination from others: what is missing is copied, what is damaged replaced and kept aside."""

from replicator.repair.missing import Copied, copy_missing
from replicator.repair.report import RepairReport
from replicator.repair.service import repair, run

__all__ = ["Copied", "RepairReport", "copy_missing", "repair", "run"]
