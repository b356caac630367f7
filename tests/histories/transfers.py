"""Transfers between accounts in several tables, from several sessions at once: whatever happens, all accounts
together come to nothing.

Each transaction writes who it is, and notes between which two positions of the WAL it was committed.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import psycopg
from psycopg import errors

from replicator.debezium.envelope import parse_lsn

LEDGERS = ("payments", "deposits", "refunds", "budgets")
SCHEMA = (
    "".join(
        f"CREATE TABLE {name}_ledger (id int PRIMARY KEY, cents bigint NOT NULL, note text);"
        f"INSERT INTO {name}_ledger SELECT n, n * {sign}, NULL FROM generate_series(1, 30) n;"
        for name, sign in zip(LEDGERS, (1, -1, 3, -3), strict=True)
    )
    + "CREATE TABLE transfers (session int, number int, PRIMARY KEY (session, number));"
)
_ACCOUNTS = 30


@dataclass(frozen=True, slots=True)
class Transfer:
    """One committed transaction: its commit record ends behind `after`, and at or before `until`."""

    session: int
    number: int
    after: int
    until: int


class Transfers:
    """So many sessions at the same time, each with so many transfers."""

    def __init__(self, dsn: str, seed: int, sessions: int, each: int) -> None:
        self.done: list[Transfer] = []
        self.failed = 0
        self._dsn = dsn
        self._each = each
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._session, args=(number, Random(seed * 100 + number)))
            for number in range(sessions)
        ]

    def run(self) -> None:
        """Let all of them happen."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()

    def _session(self, session: int, random: Random) -> None:
        with psycopg.connect(self._dsn) as connection:
            for number in range(self._each):
                with suppress(errors.DeadlockDetected, errors.UniqueViolation):
                    self._transfer(connection, session, number, random)
                    continue
                connection.rollback()
                with self._lock:
                    self.failed += 1

    def _transfer(self, connection: psycopg.Connection, session: int, number: int, random: Random) -> None:
        connection.execute("INSERT INTO transfers VALUES (%s, %s)", (session, number))
        for _ in range(random.choice((1, 1, 2, 5))):
            cents, how = random.randint(1, 500), random.random()
            _pay(connection, random, -cents)
            if how < 0.2:
                connection.execute("SAVEPOINT there")
                _pay(connection, random, cents * 7)
                connection.execute("ROLLBACK TO there")
            _pay(connection, random, cents)
            if how > 0.85:
                _rename(connection, random)
        after = _lsn(connection)
        connection.commit()
        until = _lsn(connection)
        connection.commit()
        with self._lock:
            self.done.append(Transfer(session, number, after, until))


def _pay(connection: psycopg.Connection, random: Random, cents: int) -> None:
    table, account = random.choice(LEDGERS), random.randint(1, _ACCOUNTS)
    connection.execute(
        f"INSERT INTO {table}_ledger VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET "
        f"cents = {table}_ledger.cents + excluded.cents".encode(),
        (account, cents),
    )


def _rename(connection: psycopg.Connection, random: Random) -> None:
    """An account moves to another table, with what is on it."""
    one, other = random.sample(LEDGERS, 2)
    account = random.randint(1, _ACCOUNTS)
    connection.execute(
        f"WITH gone AS (DELETE FROM {one}_ledger WHERE id = %s RETURNING id, cents) "
        f"INSERT INTO {other}_ledger SELECT id, cents, 'moved' FROM gone ON CONFLICT (id) DO UPDATE SET "
        f"cents = {other}_ledger.cents + excluded.cents".encode(),
        (account,),
    )


def _lsn(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return parse_lsn(row[0])
