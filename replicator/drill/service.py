"""A drill from beginning to end: a scratch PostgreSQL, a moment, its restore, and the comparison."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psycopg

from replicator import __version__
from replicator.compare import capture, parse_lsn, session
from replicator.config import Config
from replicator.drill import held as holding
from replicator.drill.comparing import difference
from replicator.drill.errors import DrillError
from replicator.drill.folder import own_folder
from replicator.drill.held import Held
from replicator.drill.result import Result, State
from replicator.drill.scratch import Scratch, look_at, scratch
from replicator.errors import IntegrityError, RefusedError, ReplicatorError, SourceError
from replicator.restore import service as restore
from replicator.restore.errors import NotYetError
from replicator.restore.moment.cut import Latest, Target, ToLsn
from replicator.restore.opening import Limits
from replicator.restore.report import Progress, Report, Silent

_ASK_AGAIN_S = 2.0
_KEYS = 10
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a drill is to restore: a consistent point of now, or an earlier moment.

    An earlier moment is compared with what was held of it then, or proven by counting alone.
    """

    to: Target | None = None
    held: Held | None = None


class Drill:
    """One rehearsal; `run` holds it once. Whatever happens, nothing is left of its scratch database."""

    def __init__(self, config: Config, sources: Sequence[str], progress: Progress | None = None) -> None:
        self._config = config
        self._sources = list(sources)
        self._progress = progress or Silent()
        settings = config.drill
        self._limits = Limits(settings.memory_mb * 2**20, settings.jobs, settings.scratch)
        self.error: ReplicatorError | None = None
        """Why the drill didn't get to a comparison."""

    def run(self, wish: Wish = Wish()) -> Result:
        """What the drill found. What a restore refuses is a result too, and `error` has it.

        Nothing is raised for it; `ConfigError` and Ctrl-C come through.
        """
        asked = "a consistent point of now"
        if wish.held is not None:
            asked = f"the LSN {wish.held.lsn}"
        elif wish.to is not None:
            asked = str(wish.to)
        result = Result(
            id=uuid4().hex[:12],
            installation=self._config.installation,
            begun_ms=_now_ms(),
            ended_ms=0,
            state=State.BROKEN,
            asked=asked,
            sources=tuple(self._sources),
            software=f"replicator {__version__}",
        )
        try:
            with own_folder(self._limits.scratch) as folder:
                result = self._rehearse(result, wish, folder)
        except _Stopped as stopped:
            self.error = stopped.error
            result = replace(stopped.result, state=_state_of(stopped.error), error=stopped.error.message)
        except (DrillError, SourceError) as error:
            self.error = error
            result = replace(result, state=State.BROKEN, error=error.message)
        return replace(result, ended_ms=_now_ms())

    def _rehearse(self, result: Result, wish: Wish, folder: Path) -> Result:
        now = wish.to is None and wish.held is None
        dsn = self._config.source.dsn.get_secret_value()
        self._progress.phase("making the scratch database")
        begun = time.monotonic()
        with scratch(self._config, look_at(dsn, needed=now)) as made:
            phases = {"making the scratch database": _since(begun)}
            result = replace(result, scratch=made.words, phases=phases)
            held = wish.held
            if now:
                result, held = self._hold(result, dsn, folder)
            to = wish.to if held is None else ToLsn(parse_lsn(held.lsn))
            assert to is not None
            report, result = self._restore(result, to, made)
            if held is None:
                return replace(result, state=State.PROVEN)
            return self._compare(result, held, report, made, folder)

    def _hold(self, result: Result, dsn: str, folder: Path) -> tuple[Result, Held]:
        """The source at a point of now, and how old the newest moment is that could be restored then."""
        self._progress.phase("asking what could be restored now")
        asked_at = time.monotonic()
        newest = _stopping(result, lambda: restore.plan(self._config, self._sources, Latest(), self._limits))
        self._progress.phase("reading the source at a consistent point")
        begun = time.monotonic()
        name_keys = self._config.drill.name_keys
        held = holding.take(
            dsn, self._config.source.schemas, folder if name_keys else None, self._config.drill.deadline_s
        )
        # The source's clock told both times, but the question was asked before the point was reached.
        age_s = held.time.timestamp() - newest.cut.micros / 1e6 - (held.reached_at - asked_at)
        phases = {**result.phases, "reading the source": _since(begun)}
        return replace(
            result, asked=f"the LSN {held.lsn}", rpo_s=round(max(age_s, 0.0), 3), phases=phases
        ), held

    def _restore(self, result: Result, to: Target, made: Scratch) -> tuple[Report, Result]:
        """The restore, begun as soon as the destinations hold the moment."""
        waiting = time.monotonic()
        while True:
            begun = time.monotonic()
            try:
                report = restore.run(
                    self._config,
                    self._sources,
                    to,
                    made.dsn,
                    force_clean=True,
                    limits=self._limits,
                    progress=self._progress,
                )
                break
            except NotYetError as error:
                if time.monotonic() - waiting > self._config.drill.deadline_s:
                    raise _Stopped(result, error) from None
                self._progress.phase("waiting until the destinations hold that moment")
                threading.Event().wait(_ASK_AGAIN_S)
            except (psycopg.Error, ReplicatorError) as error:
                # A server that dies takes statements with it; that is no statement about the segments.
                raise _Stopped(result, _died(made, error)) from None
        waited_s = round(begun - waiting, 3)
        rto_s = _since(begun)
        return report, replace(
            result,
            cut=report.cut.as_json(),
            rows=report.rows,
            size=report.bytes,
            tables=tuple(sorted(table.table for table in report.tables)),
            not_compared=tuple(report.not_captured),
            rto_s=rto_s,
            waited_s=waited_s,
            phases={**result.phases, **report.phases},
        )

    def _compare(self, result: Result, held: Held, report: Report, made: Scratch, folder: Path) -> Result:
        self._progress.phase("comparing with the source")
        begun = time.monotonic()
        try:
            target = capture(made.dsn, schemas=self._config.source.schemas, workers=self._limits.jobs)
            found = difference(held.digests, target, report.not_captured)
            keys: list[str] = []
            if found.tables and held.fingerprints:
                with session.connect(made.dsn, "scratch database") as connection:
                    session.begin(connection, None)
                    keys = holding.name_rows(held, connection, list(found.tables), folder, _KEYS)
        except (psycopg.Error, SourceError) as error:
            raise _Stopped(result, _died(made, error)) from None
        return replace(
            result,
            state=State.DIFFERENT if found.words else State.EQUAL,
            different=found.words,
            keys=tuple(keys),
            not_compared=(*report.not_captured, *held.digests.unlogged),
            phases={**result.phases, "comparing": _since(begun)},
        )


class _Stopped(Exception):  # noqa: N818 - never leaves this module
    """The drill got this far."""

    def __init__(self, result: Result, error: ReplicatorError) -> None:
        super().__init__(error.message)
        self.result = result
        self.error = error


def _stopping(result: Result, work: Callable[[], _T]) -> _T:
    try:
        return work()
    except ReplicatorError as error:
        raise _Stopped(result, error) from None


def _died(made: Scratch, error: Exception) -> ReplicatorError:
    """What to say when the scratch database doesn't do as it is told."""
    words = made.dead()
    if words is not None:
        return DrillError(
            f"The scratch PostgreSQL is gone in the middle of the drill: {words}",
            next_step="hold the drill again; what is stored isn't to blame. Has this machine memory and disk "
            "for it?",
        )
    if isinstance(error, ReplicatorError):
        return error
    return DrillError(
        f"The scratch PostgreSQL refused: {str(error).strip()}",
        next_step="see whether it has the source's extensions and version, and disk",
    )


def _state_of(error: ReplicatorError) -> State:
    return State.REFUSED if isinstance(error, RefusedError | IntegrityError) else State.BROKEN


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)
