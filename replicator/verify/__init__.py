"""Whether a destination holds what it should, and how two destinations differ."""

from replicator.verify.findings import Finding, Kind
from replicator.verify.report import Report
from replicator.verify.service import Depth, Options, run, verify

__all__ = ["Depth", "Finding", "Kind", "Options", "Report", "run", "verify"]
