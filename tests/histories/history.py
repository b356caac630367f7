"""One random history from beginning to end: told, captured, and restored to three of its moments."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
from psycopg import errors

from replicator import compare, config
from replicator.errors import RefusedError, ReplicatorError
from replicator.restore import service
from replicator.restore.errors import NotYetError
from replicator.restore.moment import cut
from tests.faults.capture import Capture
from tests.histories.schema_text import difference, schema_text
from tests.histories.story import Story

_POINTS = 3
_TOLD_WITHIN_S = 60.0
"""For so long Connect may hold back what it tells of a snapshot."""
EXPECTED = (
    *(psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError),
    *(psycopg.InternalError, errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled),
    *(errors.ObjectNotInPrerequisiteState, errors.ObjectInUse, errors.LockNotAvailable),
)
"""What PostgreSQL says to a statement that can't be; a lost connection isn't among it."""


@dataclass(slots=True)
class Outcome:
    """What came of histories; `refused` and `differed` by what was said."""

    histories: int = 0
    transactions: int = 0
    failed: int = 0
    """Transactions that PostgreSQL refused."""
    ddl: int = 0
    restores: int = 0
    equal: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    differed: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another one in."""
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, mine + theirs)

    @property
    def exact(self) -> bool:
        """Whether every restore was equal or refused, and there was one."""
        return not self.differed and self.equal > 0


class _Moment:
    """What the source was at one of its LSNs: every table's digest, and its schema as pg_dump writes it."""

    def __init__(self, dsn: str, pg_dump: Path) -> None:
        with compare.hold(dsn) as point:
            self.lsn = point.lsn
            self.digests = compare.capture_within(point.connection, schemas=("public",))
            self.schema = schema_text(dsn, pg_dump, point.snapshot)


class History:
    """Has its own database and connector, and a directory in which it may write. What is worth a look is
    copied to `keep`.
    """

    def __init__(self, capture: Capture, seed: int, transactions: int, keep: Path | None = None) -> None:
        self.outcome = Outcome()
        self._capture = capture
        self._seed = seed
        self._transactions = transactions
        self._keep = keep
        self._random = Random(seed)
        self._story = Story(seed)
        self._told: list[str] = []
        self._pg_dump = Path(capture.endpoints.postgres.bin) / "pg_dump"

    def begin(self) -> str:
        """What has to be there before anything is captured."""
        return "; ".join(self._story.begin())

    def run(self) -> None:
        """Tell it and restore it; what came of it is in `outcome`."""
        capture, outcome = self._capture, self.outcome
        # Debezium looks up keys and defaults in the catalogue of the day on which it reads: half of the
        # histories are over before it reads anything of them.
        if self._seed % 2:
            moments = self._tell()
        else:
            capture.settle(120)
            with capture.stopped():
                moments = self._tell()
        outcome.histories, outcome.ddl = 1, self._story.changes
        try:
            capture.settle(120)
        except AssertionError:
            outcome.stopped.append(f"seed {self._seed}: {self._why_stopped()}")
            self._kept()
            return
        store = capture.directory / "store"
        store.mkdir()
        path = capture.write_config(
            "restore",
            destinations={"store": {"type": "file", "path": str(store)}},
            sink={"segment_bytes": 2**16, "max_age_s": 0.5, "metrics_port": 0},
        )
        self._store(path, moments[-1])
        for moment in moments:
            self._restore(config.load(path), moment)
        if outcome.equal < outcome.restores:
            self._kept()

    def _tell(self) -> list[_Moment]:
        """Let it happen; the source at three of its moments."""
        random, number = self._random, self._transactions
        wanted = set(random.sample(range(number // 4, number - 1), _POINTS - 1)) | {number - 1}
        moments = []
        dsn = self._capture.dsn
        with psycopg.connect(dsn, autocommit=True) as one, _others(dsn, 2) as others:
            one.execute("SET lock_timeout = '100ms'")
            for number in range(self._transactions):
                for other in others:
                    if random.random() < 0.3:
                        self._say(other, self._story.row())
                self._transaction(one)
                for other in others:
                    if random.random() < 0.4:
                        self._end(other, commit=random.random() < 0.9, twice=random.random() < 0.2)
                if number in wanted:
                    # A point waits for what is open.
                    for other in others:
                        self._end(other, commit=random.random() < 0.7)
                    moments.append(_Moment(dsn, self._pg_dump))
                    self._told.append(f"-- held at {moments[-1].lsn}")
        return moments

    def _transaction(self, one: psycopg.Connection) -> None:
        try:
            with one.transaction():
                for statement in self._story.transaction():
                    one.execute(statement.encode())
                    self._told.append(statement)
        except EXPECTED as error:
            self._story.forget()
            self.outcome.failed += 1
            self._told.append(f"-- rolled back: {str(error).splitlines()[0]}")
        else:
            self.outcome.transactions += 1
            self._told.append("-- committed")

    def _say(self, other: psycopg.Connection, statement: str) -> None:
        with suppress(*EXPECTED), other.transaction():
            other.execute(statement.encode())
            self._told.append(f"-- {other.info.backend_pid}\n{statement}")

    def _end(self, other: psycopg.Connection, *, commit: bool, twice: bool = False) -> None:
        """End a transaction of somebody else's, perhaps in two phases."""
        self._told.append(f"-- {other.info.backend_pid} {'commits' if commit else 'rolls back'}")
        with suppress(*EXPECTED):
            if not commit:
                other.rollback()
            elif twice and other.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
                name = f"{self._capture.name}_{other.info.backend_pid}"
                other.execute(f"PREPARE TRANSACTION '{name}'".encode())
                other.rollback()
                other.autocommit = True
                other.execute(f"COMMIT PREPARED '{name}'".encode())
                other.autocommit = False
            else:
                other.commit()
            other.execute("SET lock_timeout = '100ms'")

    def _restore(self, settings: config.Config, moment: _Moment) -> None:
        """Restore to the moment into a database of its own, and note what came of it."""
        name, outcome = f"{self._capture.name}_restored", self.outcome
        postgres = self._capture.endpoints.postgres
        dsn = postgres.dsn_of(name)
        outcome.restores += 1
        with psycopg.connect(postgres.dsn, autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"'.encode())
            try:
                service.run(settings, "store", cut.parse(None, moment.lsn, None, False), dsn)
                found = compare.compare(moment.digests, compare.capture(dsn, schemas=("public",)))
                lines = found.lines()[:4] if not found.equal else []
                lines = lines or difference(moment.schema, schema_text(dsn, self._pg_dump))
                if not lines:
                    outcome.equal += 1
                else:
                    self._differs(moment, "; ".join(lines))
            except RefusedError as error:
                outcome.refused[_reason(error)] += 1
                self._told.append(f"-- refused at {moment.lsn}: {error.message}")
            except (ReplicatorError, psycopg.Error) as error:
                self._differs(moment, f"{type(error).__name__}: {str(error)[:600]}")
            finally:
                admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def _differs(self, moment: _Moment, what: str) -> None:
        self.outcome.differed.append(f"seed {self._seed} at {moment.lsn}: {what}")
        self._told.append(f"-- differs at {moment.lsn}: {what}")

    def _store(self, path: Path, last: _Moment) -> None:
        """Have all of it stored; what Connect tells of the snapshot may come a moment after the rows."""
        deadline = time.monotonic() + _TOLD_WITHIN_S
        while True:
            self._capture.replicator(path, "sink", "store", "--once", "--accept-unproven-values")
            try:
                service.plan(config.load(path), "store", cut.parse(None, last.lsn, None, False))
            except NotYetError:
                if time.monotonic() < deadline:
                    time.sleep(1)
                    continue
            except ReplicatorError:
                pass  # the restore says it again
            return

    def _why_stopped(self) -> str:
        trace = self._capture.trace()
        self._told.append("/*\n" + trace + "\n*/")
        causes = [line for line in trace.splitlines() if line.startswith("Caused by")]
        return causes[-1][:200] if causes else "it is late"

    def _kept(self) -> None:
        if self._keep is None:
            return
        folder = self._keep / str(self._seed)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._capture.directory, folder)
        (folder / "told.sql").write_text("\n".join(self._told))


@contextmanager
def _others(dsn: str, count: int) -> Iterator[list[psycopg.Connection]]:
    """Sessions of other people, each of which waits for a moment only."""
    opened = [psycopg.connect(dsn) for _ in range(count)]
    try:
        for each in opened:
            each.execute("SET lock_timeout = '100ms'")
            each.commit()
        yield opened
    finally:
        for each in opened:
            each.close()


def _reason(error: RefusedError) -> str:
    """The part of a refusal that is the same for all histories."""
    text = error.message
    if text.startswith("The target lies behind a schema change, and "):
        return text.removeprefix("The target lies behind a schema change, and ").split(":")[0]
    return type(error).__name__ + ": " + " ".join(text.split())[:120]
