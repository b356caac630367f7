"""Which transactions a snapshot of PostgreSQL shows: `pg_current_snapshot()` against xids of the stream.

The text is `xmin:xmax:xip,xip,…`, of 64 bits each: everything before xmax had ended but what is listed. An
xid of the stream has 32 bits and comes round again.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT-PARTS
"""

from __future__ import annotations

from dataclasses import dataclass

_ROUND = 2**32


@dataclass(frozen=True, slots=True)
class Visible:
    """What a snapshot shows; `running` are the transactions before `behind` that hadn't ended."""

    behind: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Visible:
        """From PostgreSQL's text; `ValueError` if it is none."""
        _, behind, running = text.split(":")
        return cls(int(behind), frozenset(int(xid) for xid in running.split(",") if xid))

    def began_later(self, xid: int) -> bool:
        """Whether it began after the snapshot; xids of the next two thousand million transactions do."""
        return (xid - self.behind) % _ROUND < _ROUND // 2

    def shows(self, xid: int) -> bool:
        """Whether it had ended when the snapshot was taken."""
        back = (self.behind - xid) % _ROUND
        return not self.began_later(xid) and self.behind - back not in self.running
