"""A consistent point: an LSN, and a view of the source that holds exactly what was committed before it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from replicator.compare import catalog, session
from replicator.errors import SourceError


@dataclass(frozen=True, slots=True)
class ConsistentPoint:
    """Every transaction whose commit record ends before `lsn` is in `snapshot`, and no other one.

    `time` is the source's clock just after the point was reached. `connection` is inside the transaction that
    keeps the snapshot and ACCESS SHARE locks on all tables; other connections to the same database may import
    `snapshot` for as long as it is open.
    """

    lsn: str
    snapshot: str
    time: datetime
    connection: psycopg.Connection

    @property
    def lsn_number(self) -> int:
        """The LSN as a number of bytes."""
        return parse_lsn(self.lsn)


class _ChangedMeanwhile(Exception):  # noqa: N818 - never leaves this module
    """A table was truncated, rewritten, renamed or dropped between the point and our lock on it."""


def parse_lsn(text: str) -> int:
    """The number that PostgreSQL's `X/Y` stands for; `ValueError` when it isn't one."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


@contextmanager
def hold(dsn: str, *, deadline_s: float = 60.0) -> Iterator[ConsistentPoint]:
    """Open a consistent point on the source and keep it until the context ends; writers go on meanwhile.

    Only TRUNCATE, table rewrites and DROP have to wait for it, because PostgreSQL can't show a truncated
    table as it was. `SourceError` when the role may not replicate, when there is no slot free, or when
    transactions that were open already don't end within `deadline_s` seconds.
    """
    end = time.monotonic() + deadline_s
    while True:
        holder = session.connect(dsn, "source")
        try:
            try:
                point = _open(dsn, holder, end)
            except _ChangedMeanwhile as error:
                if time.monotonic() > end:
                    raise SourceError(
                        f"No point could be held within {deadline_s:.0f} s: {error}.",
                        next_step="hold the point when nobody truncates or rewrites tables",
                    ) from None
                continue
            yield point
            return
        finally:
            holder.close()


def _open(dsn: str, holder: psycopg.Connection, end: float) -> ConsistentPoint:
    """One attempt; `_ChangedMeanwhile` when a table didn't stay what it was between the point and our lock.

    Locking before the point would leave no such gap, but whoever has begun to truncate would then wait for
    our locks, and the slot for him.
    """
    lock = _lock_statement(holder)
    try:
        replication = psycopg.connect(dsn, autocommit=True, replication="database")
    except psycopg.OperationalError as error:
        raise SourceError(
            f"The source accepts no replication connection: {str(error).strip()}",
            next_step="ALTER ROLE … REPLICATION for this role, and allow it in pg_hba.conf",
        ) from None
    with replication:
        lsn, exported = _create_slot(replication, holder, end)
        session.begin(holder, exported)
        _lock_tables(holder, lock)
        _wait_for_stragglers(dsn, holder, end)
        row = holder.execute("SELECT pg_export_snapshot(), clock_timestamp()").fetchone()
        assert row is not None
    # The slot is gone with its connection and pins no WAL; our transaction keeps the snapshot alive.
    return ConsistentPoint(lsn, row[0], row[1], holder)


def _create_slot(
    replication: psycopg.Connection[TupleRow], holder: psycopg.Connection, end: float
) -> tuple[str, str]:
    """The consistent point and the exported snapshot's name."""
    # A name of its own, so that several may be held at once; PostgreSQL drops it with the connection.
    slot = f"replicator_compare_{secrets.token_hex(6)}"
    timer = threading.Timer(max(0.1, end - time.monotonic()), replication.cancel_safe)
    timer.start()
    try:
        found = replication.execute(
            sql.SQL("CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')").format(
                sql.Identifier(slot)
            )
        ).fetchone()
    except psycopg.errors.QueryCanceled:
        raise SourceError(
            "No consistent point was reached in time: it waits for transactions that were open before it, "
            + _oldest_transaction(holder),
            next_step="end that transaction, or allow more time",
        ) from None
    except psycopg.Error as error:
        raise SourceError(
            f"The source gives no consistent point: {str(error).strip()}",
            next_step="it needs wal_level=logical, a free slot (max_replication_slots) and a role that may "
            "replicate (ALTER ROLE … REPLICATION)",
        ) from None
    finally:
        timer.cancel()
    assert found is not None
    return str(found[1]), str(found[2])


def _oldest_transaction(connection: psycopg.Connection) -> str:
    row = connection.execute(
        "SELECT pid, usename, application_name, state, clock_timestamp() - xact_start FROM pg_stat_activity "
        "WHERE backend_xid IS NOT NULL ORDER BY xact_start LIMIT 1"
    ).fetchone()
    if row is None:
        return "and all of them have ended since."
    return f"the oldest is pid {row[0]} ({row[1]}, {row[2] or 'unnamed'}, {row[3]}), open for {row[4]}."


def _wait_for_stragglers(dsn: str, holder: psycopg.Connection, end: float) -> None:
    """Wait until every transaction that the snapshot counts as committed has left the list of running ones.

    A commit is in the log, and so in the snapshot, a moment before its backend marks it as committed.
    Reading its rows in that moment would take them for rolled back.
    """
    counted = holder.execute(
        "SELECT pg_snapshot_xmax(s)::text::bigint, "
        "coalesce((SELECT array_agg(x::text::bigint) FROM pg_snapshot_xip(s) x), '{}') "
        "FROM pg_current_snapshot() s"
    ).fetchone()
    assert counted is not None
    with session.connect(dsn, "source") as fresh:
        while True:
            running = fresh.execute(
                "SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot()) x "
                "WHERE x::text::bigint < %s AND x::text::bigint <> ALL (%s)",
                counted,
            ).fetchone()
            if running is not None and running[0] == 0:
                return
            if time.monotonic() > end:
                raise SourceError(
                    f"{running and running[0]} transactions are in the log as committed and still not "
                    f"finished.",
                    next_step="look for commits that wait for a synchronous standby, then try again",
                )
            threading.Event().wait(0.002)


def _lock_statement(connection: psycopg.Connection) -> sql.Composed | None:
    """Written before the point, so that hardly any time passes between the point and the locks."""
    tables = connection.execute(catalog.TABLES_TO_LOCK).fetchall()
    if not tables:
        return None
    names = sql.SQL(", ").join(
        sql.SQL("ONLY {}").format(sql.Identifier(schema, name)) for schema, name in tables
    )
    return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names)


def _lock_tables(holder: psycopg.Connection, lock: sql.Composed | None) -> None:
    try:
        if lock is not None:
            holder.execute(lock)
        # What was made between the statement's writing and the point; the others are locked already.
        again = _lock_statement(holder)
        if again is not None and again != lock:
            holder.execute(again)
    except (psycopg.errors.UndefinedTable, psycopg.errors.LockNotAvailable) as error:
        raise _ChangedMeanwhile(str(error).strip()) from None
    changed = holder.execute(catalog.TABLES_CHANGED_SINCE_SNAPSHOT).fetchall()
    if changed:
        raise _ChangedMeanwhile(f"{changed[0][0]} was truncated, rewritten or renamed")
