"""The oracle: whether a database equals the source as it was at one exact point of its log.

`hold` opens that point on the source while it goes on working, `capture` reduces a database to digests that
the server computes, `compare` says what differs, and `row_differences` names the keys and columns. Why the
point is exact under concurrent commits: docs/decisions/0002-consistent-point.md.
"""

from replicator.compare.digest import Digests, TableDigest, capture, capture_within
from replicator.compare.point import ConsistentPoint, hold, parse_lsn
from replicator.compare.report import Report, compare
from replicator.compare.rowdiff import RowDifference, row_differences

__all__ = [
    "ConsistentPoint",
    "Digests",
    "Report",
    "RowDifference",
    "TableDigest",
    "capture",
    "capture_within",
    "compare",
    "hold",
    "parse_lsn",
    "row_differences",
]
