"""The fold as SQL: which records of a table decide at the cut. One text for every engine.

It reads two relations. `records` has one row for each record:

- `row_key`, bytes: the row's primary key, or the whole row where none tells rows apart; NULL in a TRUNCATE
- `op`: Debezium's operation; `change`: 1 for a row that was written, -1 for one that was taken away
- `is_first`: whether it is the snapshot's or a base's, and so before everything that was streamed
- `xid`, `lsn`, `total_order`: of its transaction, its own, and its place in the transaction
- `form`, `at_offset`: with which schema and in which chain it was written, and its offset there
- `record`, bytes: all of it, as it is in its segment; NULL where it can't become a row

`commits` has one row for each transaction up to the cut: `number` in commit order, `xid`, `first_lsn`,
`last_lsn`. An xid comes round again, so an event's transaction is the one whose LSNs hold its own.

Both texts give `form`, `at_offset`, `record` and `copies` in the order of the first two, in which no two rows
are equal: the result is the same on every engine, to the byte and to the order.
"""

from __future__ import annotations

_STANDING = """
WITH placed AS (
    SELECT row_key, op, change, form, at_offset, record, CAST(0 AS BIGINT) AS turn
      FROM {records}
     WHERE is_first
 UNION ALL
    SELECT r.row_key, r.op, r.change, r.form, r.at_offset, r.record,
           c.number * 4294967296 + r.total_order AS turn
      FROM {records} r
      JOIN {commits} c ON c.xid = r.xid AND c.first_lsn <= r.lsn AND r.lsn <= c.last_lsn
     WHERE NOT r.is_first
), standing AS (
    SELECT *
      FROM placed
     WHERE op <> 't' AND turn > (SELECT coalesce(max(turn), -1) FROM placed WHERE op = 't')
)"""

# rank, not row_number: where two records were the newest of one key, both come out, and the table's primary
# key refuses them; neither is chosen by chance.
_BY_KEY = """, aged AS (
    SELECT *, rank() OVER (PARTITION BY row_key ORDER BY turn DESC) AS age
      FROM standing
)
SELECT form, at_offset, record, CAST(1 AS BIGINT) AS copies
  FROM aged
 WHERE age = 1 AND op <> 'd'
 ORDER BY form, at_offset
"""

_BY_IMAGE = """, counted AS (
    SELECT *,
           sum(change) OVER (PARTITION BY row_key) AS copies,
           row_number() OVER (PARTITION BY row_key ORDER BY change DESC, form DESC, at_offset DESC) AS place
      FROM standing
)
SELECT form, at_offset, record, CAST(copies AS BIGINT) AS copies
  FROM counted
 WHERE place <= copies OR (copies < 0 AND place = 1)
 ORDER BY form, at_offset
"""


def newest_of_each_key(records: str, commits: str) -> str:
    """The SQL for a table whose primary key tells rows apart: the newest record of each, unless it deletes.

    `records` and `commits` are the names of the two relations.
    """
    return (_STANDING + _BY_KEY).format(records=records, commits=commits)


def images_left(records: str, commits: str) -> str:
    """The SQL for any other table: of each row as many as were written, less those that were taken away.

    A row of which more were taken away than were ever written comes out with `copies` below zero.
    """
    return (_STANDING + _BY_IMAGE).format(records=records, commits=commits)
