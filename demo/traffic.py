"""Live traffic: seeded workers that run the demo's transactions at a rate, until told to stop.

`python -m demo.traffic --dsn … --rate 200 --workers 4 --seconds 60`; SIGTERM or Ctrl-C ends it after the
running transactions. The last line it prints is JSON: what was committed and what was rolled back.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg

from demo import additive_ddl, invariants
from demo.mix import QUIET, WEDDING_DAY, Transaction
from demo.statements import AbandonedError

REPORT_EVERY_S = 2.0
_CONFLICTS = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.IntegrityError,
)


@dataclass(frozen=True, slots=True)
class Options:
    """How much traffic, and of which kind."""

    dsn: str
    rate: float = 100.0
    workers: int = 4
    seconds: float | None = None
    seed: int = 1
    wedding_day: bool = False
    ddl_after_s: float | None = None


@dataclass(slots=True)
class Tally:
    """What has happened so far; each worker has its own."""

    committed: Counter[str] = field(default_factory=Counter)
    rolled_back: Counter[str] = field(default_factory=Counter)
    xids: list[int] = field(default_factory=list)
    """The transactions that wrote something and whose COMMIT the server acknowledged."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.committed + other.committed, self.rolled_back + other.rolled_back, self.xids + other.xids
        )


class Traffic:
    """Workers in threads, each with a connection and a generator of its own."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._tallies = [Tally() for _ in range(options.workers)]
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"traffic-{number}", daemon=True)
            for number in range(options.workers)
        ]

    def start(self) -> None:
        """Start the workers; they end at the duration, at `stop`, or when one of them fails."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Tally:
        """End after the running transactions; the final tally. Raises what made a worker fail."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure
        return self.tally()

    def tally(self) -> Tally:
        """What all workers have done so far."""
        return sum(self._tallies, Tally())

    @property
    def running(self) -> bool:
        """Whether a worker is still at work."""
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, number: int) -> None:
        try:
            with psycopg.connect(
                self.options.dsn, autocommit=True, application_name="demo traffic"
            ) as connection:
                self._work(connection, number)
        except BaseException as error:  # noqa: BLE001 - handed to whoever called start, in stop()
            self.failure = self.failure or error
            self.stopping.set()

    def _work(self, connection: psycopg.Connection, number: int) -> None:
        options, tally = self.options, self._tallies[number]
        rng = Random(f"{options.seed}/{number}")
        weddings = _weddings(connection)
        begin = time.monotonic()
        due = begin
        ddl_at = begin + options.ddl_after_s if number == 0 and options.ddl_after_s is not None else None
        while not self.stopping.is_set():
            if options.seconds is not None and time.monotonic() - begin >= options.seconds:
                return
            # The DDL is tried again with the next transaction when a reader kept a lock for too long.
            if ddl_at is not None and time.monotonic() >= ddl_at and additive_ddl.apply(connection):
                tally.committed["additive_ddl"] += 1
                ddl_at = None
            transaction, wedding = _choose(rng, options, weddings, time.monotonic() - begin)
            _perform(connection, transaction, rng, wedding, tally)
            due = max(due + rng.expovariate(options.rate / options.workers), time.monotonic() - 1.0)
            self.stopping.wait(max(0.0, due - time.monotonic()))


def _weddings(connection: psycopg.Connection) -> list[int]:
    found = connection.execute("SELECT id FROM weddings ORDER BY id").fetchall()
    if not found:
        raise SystemExit(
            "There are no weddings in this database; load the history first (python -m demo.load)."
        )
    return [int(row[0]) for row in found]


def _choose(rng: Random, options: Options, weddings: list[int], elapsed: float) -> tuple[Transaction, int]:
    # On a wedding day the guests of one wedding come in bursts: eight seconds of each ten are theirs.
    burst = options.wedding_day and elapsed % 10 < 8 and rng.random() < 0.85
    mix = WEDDING_DAY if burst else QUIET
    wedding = weddings[len(weddings) // 2] if burst else rng.choice(weddings)
    return rng.choices(list(mix), weights=list(mix.values()))[0], wedding


def _perform(
    connection: psycopg.Connection, transaction: Transaction, rng: Random, wedding: int, tally: Tally
) -> None:
    name = transaction.__name__
    try:
        with connection.transaction(), connection.cursor() as cursor:
            transaction(cursor, rng, wedding)
            # Every transaction of the mix writes, however others interfere: a line of the log at least.
            row = cursor.execute("SELECT pg_current_xact_id_if_assigned()::text::bigint").fetchone()
    except AbandonedError:
        tally.rolled_back[name] += 1
    except _CONFLICTS:
        # Workers get in each other's way as people do: a deadlock, a guest deleted meanwhile, a chair taken.
        tally.rolled_back[f"{name} (conflict)"] += 1
    else:
        tally.committed[name] += 1
        if row is not None and isinstance(row[0], int):
            tally.xids.append(row[0])


def _parse(arguments: list[str] | None) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(
        prog="python -m demo.traffic", description="Live traffic on the demo's database."
    )
    parser.add_argument("--dsn", required=True, help="the database that python -m demo.load filled")
    parser.add_argument(
        "--rate", type=float, default=100.0, help="transactions a second, all workers together"
    )
    parser.add_argument("--workers", type=int, default=4, help="concurrent connections")
    parser.add_argument(
        "--seconds", type=float, help="stop after this long; without it, at SIGTERM or Ctrl-C"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wedding-day", action="store_true", help="bursts on one wedding, many photos")
    parser.add_argument(
        "--xids", type=Path, metavar="FILE", help="write the acknowledged transactions' ids there"
    )
    parser.add_argument("--ddl-after", type=float, metavar="SECONDS", help="run additive DDL in the middle")
    given = parser.parse_args(arguments)
    options = Options(
        given.dsn, given.rate, given.workers, given.seconds, given.seed, given.wedding_day, given.ddl_after
    )
    return options, given.xids


def main(arguments: list[str] | None = None) -> int:
    """Run until the end or a signal; 1 when the money no longer adds up."""
    options, xids = _parse(arguments)
    traffic = Traffic(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: traffic.stopping.set())
    begin = last = time.monotonic()
    before = 0
    traffic.start()
    while traffic.running:
        traffic.stopping.wait(0.1)
        now = time.monotonic()
        if now - last >= REPORT_EVERY_S:
            done = traffic.tally().committed.total()
            print(
                f"{now - begin:7.1f} s  {(done - before) / (now - last):7.1f} transactions/s, {done} so far",
                flush=True,
            )
            last, before = now, done
    tally = traffic.stop()
    if xids is not None:
        xids.write_text("".join(f"{xid}\n" for xid in tally.xids))
    with psycopg.connect(options.dsn) as connection:
        broken = invariants.violations(connection)
    for line in broken:
        print(f"the money doesn't add up: {line}", file=sys.stderr)
    print(
        json.dumps(
            {
                "committed": tally.committed.total(),
                "rolled_back": tally.rolled_back.total(),
                "seconds": round(time.monotonic() - begin, 3),
                "by_kind": dict(sorted(tally.committed.items())),
                "rolled_back_by_kind": dict(sorted(tally.rolled_back.items())),
                "money_adds_up": not broken,
            }
        )
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
