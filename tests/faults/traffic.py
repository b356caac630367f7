"""Seeded multi-table transactions: inserts, updates, deletes, key changes and rollbacks, as large as wanted.

Statements touch many rows each: a million changes are made in a minute, it is capturing that takes time.
"""

from __future__ import annotations

import threading
from random import Random

import psycopg
from psycopg.errors import DeadlockDetected, UniqueViolation

SCHEMA = """
CREATE TABLE weddings (
    id bigint PRIMARY KEY, title text NOT NULL, day date, budget numeric(12,2), notes text);
CREATE TABLE guests (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, wedding_id bigint NOT NULL REFERENCES weddings,
    name text NOT NULL, diet text DEFAULT 'none', arrived timestamptz, tags text[], extra jsonb);
CREATE INDEX ON guests (wedding_id);
CREATE TABLE payments (
    wedding_id bigint NOT NULL, number bigint NOT NULL, amount numeric NOT NULL,
    paid timestamptz DEFAULT now(), PRIMARY KEY (wedding_id, number));
CREATE TABLE visits (at timestamptz NOT NULL, page text, guest bigint);
CREATE TABLE markers (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO weddings SELECT n, 'wedding ' || n, date '2027-01-01' + n, n * 1000.5,
    CASE WHEN n % 10 = 0 THEN repeat('long notes ' || n || ' ', 2000) END FROM generate_series(1, 40) n;
INSERT INTO guests (wedding_id, name, extra)
    SELECT 1 + n % 40, 'guest ' || n, jsonb_build_object('n', n) FROM generate_series(1, 400) n;
"""

_INSERT = """
INSERT INTO guests (wedding_id, name, diet, arrived, tags, extra)
SELECT %(wedding)s, 'guest ' || n || ' of ' || %(tag)s,
       CASE n %% 3 WHEN 0 THEN NULL WHEN 1 THEN 'vegan' ELSE 'none' END, clock_timestamp(),
       ARRAY['t' || n, NULL], jsonb_build_object('n', n, 'tag', %(tag)s)
FROM generate_series(1, %(rows)s) n"""
_UPDATE = """
UPDATE guests SET name = name || '*', arrived = clock_timestamp()
WHERE id IN (SELECT id FROM guests WHERE wedding_id = %(wedding)s ORDER BY id DESC LIMIT %(rows)s)"""
_DELETE = """
DELETE FROM guests
WHERE id IN (SELECT id FROM guests WHERE wedding_id = %(wedding)s ORDER BY id LIMIT %(rows)s)"""
_PAY = """
INSERT INTO payments (wedding_id, number, amount)
SELECT %(wedding)s, last + n, n * 1.10
FROM (SELECT coalesce(max(number), 0) AS last FROM payments WHERE wedding_id = %(wedding)s),
     generate_series(1, %(rows)s) n"""
_RENUMBER = """
UPDATE payments SET number = last + turn, amount = amount + 0.01
FROM (SELECT number AS old, row_number() OVER (ORDER BY number) AS turn, max(number) OVER () AS last
      FROM payments WHERE wedding_id = %(wedding)s ORDER BY number LIMIT %(few)s)
WHERE wedding_id = %(wedding)s AND number = old"""
_VISIT = "INSERT INTO visits SELECT clock_timestamp(), '/table/' || n, n FROM generate_series(1, %(rows)s) n"
_WEDDING = "UPDATE weddings SET budget = budget + 1 WHERE id = %(wedding)s"
_STATEMENTS = (_INSERT, _INSERT, _INSERT, _UPDATE, _UPDATE, _DELETE, _PAY, _RENUMBER, _VISIT, _WEDDING)


class Traffic:
    """Transactions from several threads, until stopped or until so many rows have changed."""

    def __init__(
        self,
        dsn: str,
        *,
        seed: int = 1,
        rows: int = 10,
        workers: int = 2,
        changes: int | None = None,
        pause_s: float = 0.0,
    ) -> None:
        """`rows` is about how many rows a statement touches; `pause_s` is the wait between transactions."""
        self._dsn, self._seed, self._rows, self._pause_s = dsn, seed, rows, pause_s
        self._limit = changes
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.changes = 0
        self.transactions = 0
        self.failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(workers)]

    def start(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    @property
    def done(self) -> bool:
        """Whether every worker has ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait until all rows have changed; raises what stopped a worker."""
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def __enter__(self) -> Traffic:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, number: int) -> None:
        random = Random(self._seed * 1000 + number)
        try:
            with psycopg.connect(self._dsn) as connection:
                while not self._done():
                    self._transaction(connection, random)
                    self._stopping.wait(self._pause_s)
        except BaseException as error:  # noqa: BLE001  # told by join, in the thread that asks
            self.failure = error
            self._stopping.set()

    def _done(self) -> bool:
        return self._stopping.is_set() or (self._limit is not None and self.changes >= self._limit)

    def _transaction(self, connection: psycopg.Connection, random: Random) -> None:
        touched = 0
        give_up = random.random() < 0.05
        try:
            for _ in range(random.randint(1, 6)):
                values = {
                    "wedding": random.randint(1, 40),
                    "rows": random.randint(1, 2 * self._rows),
                    "few": random.randint(1, 5),
                    "tag": f"{random.random():.9f}",
                }
                touched += connection.execute(random.choice(_STATEMENTS), values).rowcount
        except (DeadlockDetected, UniqueViolation):
            give_up = True
        if give_up:
            connection.rollback()
            return
        connection.commit()
        with self._lock:
            self.changes += touched
            self.transactions += 1
