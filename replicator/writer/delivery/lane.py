"""The way into one destination: upload threads, the circuit breaker, and what waits for either.

No thread ever waits: an upload that failed is a job for later, one that the circuit holds back is parked, and
what a revoked partition had on the way is let go, its memory with it.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from replicator.segment.container import Segment
from replicator.storage import ErrorKind, ObjectStore, PutResult, StorageError
from replicator.storage.check import fetch
from replicator.telemetry import SinkMetrics
from replicator.writer.delivery.breaker import Again, Ask, Breaker, GiveUp, Patience, Trial
from replicator.writer.process import failpoints
from replicator.writer.process.health import Health
from replicator.writer.process.pool import Submitter

_log = structlog.get_logger()
_PROBE_BYTES = 1024
_DOWN = "destination"


@dataclass(frozen=True, slots=True)
class Durable:
    """The segment is stored. `created` is False if it was there already; `seconds` include all attempts."""

    segment: Segment
    created: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination is healthy, and won't take the segment."""

    segment: Segment
    error: StorageError
    attempts: int
    seconds: float


class Owner(Protocol):
    """Whose segments go this way."""

    @property
    def dropped(self) -> bool:
        """Whether nobody wants them any more."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    owner: Owner
    build: Callable[[], Segment] | None
    told: Callable[[Durable | Rejected], None]
    built: Segment | None = None
    key: str = ""
    began: float = 0.0
    dropped: bool = False
    trial: Trial = field(default_factory=Trial)


class Lane:
    """One destination's uploads. Safe to share between threads; `told` is called from one of the lane's."""

    def __init__(
        self,
        store: ObjectStore,
        name: str,
        patience: Patience,
        health: Health,
        metrics: SinkMetrics,
        uploaders: Submitter,
        prober: Submitter,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`store` tells each error at once; `name` is this member's alone, for the key of its probes."""
        self._store = store
        self._probe_key = f"v1/probe/lane-{name}"
        self._breaker = Breaker(patience)
        self._health = health
        self._metrics = metrics
        self._lock = threading.Lock()
        self._jobs: set[_Job] = set()
        self._parked: list[_Job] = []
        """Held back by the open circuit."""
        self._suspects: list[_Job] = []
        """Failed, and to be judged by the next probe."""
        self._probing = False
        self._uploaders = uploaders
        self._prober = prober
        self._clock = clock
        self._jitter = jitter

    def upload(
        self, owner: Owner, build: Callable[[], Segment], told: Callable[[Durable | Rejected], None]
    ) -> None:
        """Have the segment that `build` makes stored, until it is or is refused for good."""
        job = _Job(owner, build, told)
        with self._lock:
            self._jobs.add(job)
        self._uploaders.submit(lambda: self._try(job))

    def drop(self, owner: Owner) -> None:
        """Let go of everything of that owner, which says `dropped` by now; an attempt that is being made is
        the last one."""
        with self._lock:
            gone = [job for job in self._jobs if job.owner is owner]
            self._parked = [job for job in self._parked if job.owner is not owner]
            self._suspects = [job for job in self._suspects if job.owner is not owner]
            for job in gone:
                self._let_go(job)
        for job in gone:
            if job.key:
                self._health.trouble(f"storage: put {job.key}", None)

    @property
    def waiting(self) -> int:
        """How many segments are on their way, in whatever state."""
        with self._lock:
            return len(self._jobs)

    def _let_go(self, job: _Job) -> None:
        self._jobs.discard(job)
        job.dropped = True
        job.build = job.built = None

    def _try(self, job: _Job) -> None:
        with self._lock:
            if job.owner.dropped:
                self._let_go(job)
                return
            if self._breaker.open:
                self._parked.append(job)
                return
            wait_s = self._breaker.wait_s(self._clock())
        if wait_s > 0:
            self._uploaders.submit(lambda: self._try(job), after_s=wait_s * (1 + self._jitter() / 10))
            return
        segment = self._segment(job)
        if segment is None:
            return
        try:
            result = self._put(job.key, segment)
        except StorageError as error:
            self._failed(job, error)
        else:
            failpoints.reach("uploaded")
            with self._lock:
                self._breaker.succeeded()
                self._let_go(job)
            self._settled(job)
            job.told(Durable(segment, result is PutResult.CREATED, self._clock() - job.began))

    def _segment(self, job: _Job) -> Segment | None:
        with self._lock:
            build, built = job.build, job.built
        if built is not None or build is None:
            return built
        failpoints.reach("upload_started")
        job.began = self._clock()
        built = build()
        with self._lock:
            if job.dropped:
                return None
            job.build, job.built, job.key = None, built, built.name.key()
        return built

    def _put(self, key: str, segment: Segment) -> PutResult:
        if failpoints.armed("put_half"):
            failpoints.reach_while_sending(len(segment.body))
        result = self._store.put(key, segment.body, sha256=segment.sha256)
        if result is PutResult.EXISTED:
            self._mend(key, segment)
        return result

    def _mend(self, key: str, segment: Segment) -> None:
        """Replace an object of that name whose bytes aren't what it says: it would be committed over."""
        try:
            fetch(self._store, key, sha256=segment.sha256)
        except StorageError as error:
            if error.kind is not ErrorKind.CORRUPT:
                raise
            _log.error("a damaged segment is replaced", segment=key, error=error.message)
            self._store.put(key, segment.body, sha256=segment.sha256, if_absent=False)

    def _failed(self, job: _Job, error: StorageError) -> None:
        self._metrics.retries.labels(error.kind.value).inc()
        # The error is kept until the job ends; where it was raised, the frames hold the segment's bytes.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        with self._lock:
            if job.dropped:
                return
            verdict = self._breaker.failed(job.trial, error, self._clock(), self._jitter())
            if isinstance(verdict, Ask):
                self._suspects.append(job)
        self._health.trouble(f"storage: put {job.key}", str(error))
        _log.warning(
            "a segment couldn't be stored; it is kept and sent again",
            segment=job.key,
            kind=error.kind.value,
            error=error.message,
            attempt=job.trial.attempts,
            wait_s=round(verdict.after_s, 2) if isinstance(verdict, Again) else None,
        )
        if isinstance(verdict, Again):
            self._uploaders.submit(lambda: self._try(job), after_s=verdict.after_s)
        else:
            self._ask()

    def _settled(self, job: _Job) -> None:
        if job.trial.attempts:
            self._health.trouble(f"storage: put {job.key}", None)

    # -- probes --------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Have the destination probed, unless that is about to be done."""
        with self._lock:
            if self._probing:
                return
            self._probing = True
        self._prober.submit(self._probe)

    def _probe(self) -> None:
        with self._lock:
            judged, self._suspects = self._suspects, []
        began = self._clock()
        try:
            self._write_and_read()
        except StorageError as error:
            self._is_down(judged, error)
        else:
            self._is_up(judged, self._clock() - began)

    def _is_down(self, judged: list[_Job], error: StorageError) -> None:
        self._metrics.probes.labels("failed").inc()
        with self._lock:
            news = not self._breaker.open
            wait_s = self._breaker.probe_failed(error, self._clock(), self._jitter())
            self._parked += [job for job in judged + self._suspects if not job.dropped]
            self._suspects = []
        self._metrics.lane_open.set(1)
        self._health.trouble(_DOWN, str(error))
        _log.log(
            40 if news else 20,
            "the destination is down: its lane pauses, nothing is lost while Kafka keeps the records",
            kind=error.kind.value,
            error=error.message,
            next_probe_s=round(wait_s, 2),
        )
        self._prober.submit(self._probe, after_s=wait_s)

    def _is_up(self, judged: list[_Job], seconds: float) -> None:
        self._metrics.probes.labels("passed").inc()
        now = self._clock()
        given_up: list[tuple[_Job, Segment, GiveUp]] = []
        with self._lock:
            was_open, self._probing = self._breaker.open, False
            self._breaker.probe_passed()
            released, self._parked = self._parked, []
            # What failed while the probe was under way is not judged by it.
            late = bool(self._suspects)
            for job in judged:
                if job.dropped:
                    continue
                verdict = self._breaker.judge(job.trial, now, self._jitter())
                if isinstance(verdict, Again):
                    self._uploaders.submit(lambda job=job: self._try(job), after_s=verdict.after_s)  # type: ignore[misc]
                elif job.built is not None:
                    given_up.append((job, job.built, verdict))
                    self._let_go(job)
        for job in released:
            self._uploaders.submit(lambda job=job: self._try(job))  # type: ignore[misc]
        self._metrics.lane_open.set(0)
        self._health.trouble(_DOWN, None)
        if was_open:
            _log.info("the destination is up again", probe_s=round(seconds, 3), waiting=len(released))
        for job, segment, verdict in given_up:
            self._settled(job)
            seconds = now - job.began
            _log.error(
                "the destination is healthy and refuses a segment; its range goes to a dead letter",
                segment=job.key,
                kind=verdict.error.kind.value,
                error=verdict.error.message,
                attempts=job.trial.attempts,
                seconds=round(seconds, 1),
            )
            job.told(Rejected(segment, verdict.error, job.trial.attempts, seconds))
        if late:
            self._ask()

    def _write_and_read(self) -> None:
        """Write a small object the way segments go, read it back, compare, delete it; `StorageError` else."""
        body = os.urandom(_PROBE_BYTES)
        sha256 = hashlib.sha256(body).hexdigest()
        # Always the same key: where we may not delete, one object stays, not one for each probe.
        self._store.put(self._probe_key, body, sha256=sha256, if_absent=False)
        fetch(self._store, self._probe_key, sha256=sha256)
        with suppress(StorageError):  # the right to delete isn't needed for storing segments
            self._store.delete(self._probe_key)
