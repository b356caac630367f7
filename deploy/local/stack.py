"""One stack in one directory: bring it up, take it down, break parts of it, tell what is up."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import endpoints as contract
from deploy.local.addresses import endpoints_of
from deploy.local.cache import locked
from deploy.local.errors import StackError
from deploy.local.keeper_client import KeeperClient, PartState, tail
from deploy.local.parts.azure import AzurePart
from deploy.local.parts.connect import ConnectPart
from deploy.local.parts.gcs import GcsPart
from deploy.local.parts.kafka import KafkaPart
from deploy.local.parts.port import Part, Site
from deploy.local.parts.postgres import PostgresPart, data_dir
from deploy.local.parts.registry import RegistryPart
from deploy.local.parts.s3 import MotoPart, S3Part
from deploy.local.settings import load_or_create, port_is_free
from deploy.local.waiting import wait_for

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        PostgresPart(),
        KafkaPart(),
        RegistryPart(),
        ConnectPart(),
        S3Part(),
        AzurePart(),
        GcsPart(),
        MotoPart(),
    )
}
DEFAULT_PARTS = ("postgres", "kafka", "registry", "connect", "s3", "azure", "gcs")
# What writes stops before what it writes to, so that a stop is as clean as it can be.
_STOP_ORDER = (("connect", "registry", "s3", "azure", "gcs", "s3-moto"), ("kafka", "postgres"))
_STOP_SECONDS = 20.0
_GONE_SECONDS = 15.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part as `status` reports it. `missing` says what keeps it from serving; None: it serves."""

    name: str
    pid: int | None
    seconds_up: float | None
    missing: str | None

    @property
    def serving(self) -> bool:
        """Return whether the part does its work."""
        return self.missing is None


class Stack:
    """The stack in `directory`. Several processes may call it; a lock per stack orders them."""

    def __init__(self, directory: Path, progress: Progress = lambda _: None) -> None:
        self.directory = directory.absolute()
        self._progress = progress

    @property
    def endpoints(self) -> contract.Endpoints:
        """Return where the parts answer; raises StackError if this stack was never brought up."""
        return contract.load(self.directory)

    def up(self, only: Iterable[str] = DEFAULT_PARTS) -> bool:
        """Bring up what of `only`, and what that needs, isn't serving; return whether anything had to start.

        Raises StackError with the end of the log of the part that failed; then nothing of what this call
        started is left running. The same holds if the calling process is killed.
        """
        names = _with_needs(only)
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        with self._lock():
            site = self._site()
            running = KeeperClient.connect(self.directory)
            if running is not None:
                with running:
                    alive = {name for name, state in running.states().items() if state.alive}
                if alive.issuperset(names) and all(PARTS[name].missing(site) is None for name in names):
                    return False
            with self._lease() as keeper:
                self._start_all(names, site, keeper)
                site.endpoints.save(self.directory)
        return True

    @contextmanager
    def held(self) -> Iterator[Stack]:
        """Tie the stack to this process while the block lasts: when it ends, however it ends, all parts end.

        Whoever started them. For tests and demos, which must leave nothing running even when they are killed.
        """
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        with self._lock():
            keeper = KeeperClient.connect_or_start(self.directory)
            keeper.hold()
        try:
            yield self
        finally:
            self.down()
            keeper.close()

    def remove(self) -> None:
        """Take the stack down and delete all its data, the directory itself included."""
        if not self.directory.exists():
            return
        self.down()
        shutil.rmtree(data_dir(self.directory), ignore_errors=True)
        shutil.rmtree(self.directory)

    def down(self) -> bool:
        """Stop everything; return whether anything was running. Data stays, for the next `up`."""
        with self._lock():
            keeper = KeeperClient.connect(self.directory)
            if keeper is None:
                return False
            with keeper:
                for names in _STOP_ORDER:
                    states = keeper.states()
                    going = [name for name in names if name in states and states[name].alive]
                    for name in going:
                        keeper.signal(name, PARTS[name].stop_signal)
                    for name in going:
                        self._gone(keeper, name)
                keeper.shutdown()
            wait_for(
                "the keeper to end",
                lambda: "it still answers" if (self.directory / "keeper.sock").exists() else None,
                timeout=_STOP_SECONDS,
            )
        return True

    def start(self, part: str) -> None:
        """Start one part that isn't running, and wait until it serves. The parts it needs must be up."""
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        with self._lock():
            site = self._site()
            with self._lease() as keeper:
                self._fetch(part, site, keeper)
                self._start(part, site, keeper)
                site.endpoints.save(self.directory)

    def stop(self, part: str, sig: signal.Signals | None = None) -> None:
        """End one part by `sig` (None: its own polite signal) and return when it is gone."""
        with self._lock():
            keeper = KeeperClient.connect(self.directory)
            if keeper is None or part not in (states := keeper.states()) or not states[part].alive:
                raise StackError(f"{part} isn't running", next_step="see `python -m deploy.local status`")
            with keeper:
                keeper.signal(part, sig if sig is not None else PARTS[part].stop_signal)
                self._gone(keeper, part)

    def restart(self, part: str, sig: signal.Signals | None = None) -> None:
        """Stop the part by `sig`, start it again at the same address, and wait until it serves."""
        self.stop(part, sig)
        self.start(part)

    def pid(self, part: str) -> int:
        """Return the process id of a running part; raises StackError if it isn't running."""
        state = self._states().get(part)
        if state is None or not state.alive:
            raise StackError(f"{part} isn't running", next_step="see `python -m deploy.local status`")
        return state.pid

    def status(self) -> list[PartStatus]:
        """Return every part's status, asked from the part itself, not remembered."""
        states = self._states()
        statuses = []
        for name, part in PARTS.items():
            state = states.get(name)
            if state is None or not state.alive:
                ended = "" if state is None else f", ended with status {state.exit}"
                if name in DEFAULT_PARTS or state is not None:
                    statuses.append(PartStatus(name, None, None, f"not running{ended}"))
                continue
            missing = part.missing(self._site())
            statuses.append(PartStatus(name, state.pid, time.time() - state.started, missing))
        return statuses

    def _states(self) -> dict[str, PartState]:
        keeper = KeeperClient.connect(self.directory)
        if keeper is None:
            return {}
        with keeper:
            return keeper.states()

    @contextmanager
    def _lease(self) -> Iterator[KeeperClient]:
        with KeeperClient.connect_or_start(self.directory) as keeper:
            yield keeper
            keeper.commit()

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self.directory / "stack.lock")

    def _site(self) -> Site:
        settings = load_or_create(self.directory)
        return Site(self.directory, settings, endpoints_of(settings))

    def _start_all(self, names: list[str], site: Site, keeper: KeeperClient) -> None:
        served = {name: threading.Event() for name in names}
        failed = threading.Event()

        def start(name: str) -> None:
            try:
                self._fetch(name, site, keeper)
                for need in PARTS[name].needs:
                    while not served[need].wait(0.1):
                        if failed.is_set():
                            return
                self._start(name, site, keeper)
                served[name].set()
            except BaseException:
                failed.set()
                raise

        _in_parallel([(name, start) for name in names])

    def _fetch(self, name: str, site: Site, keeper: KeeperClient) -> None:
        began = time.monotonic()
        PARTS[name].fetch(keeper, site.log(f"fetch-{name}"))
        took = time.monotonic() - began
        if took > 1:
            self._progress(f"{name:10} fetched in {took:.1f} s")

    def _start(self, name: str, site: Site, keeper: KeeperClient) -> None:
        part = PARTS[name]
        start = time.monotonic()
        states = keeper.states()
        already = name in states and states[name].alive
        if not already:
            port = site.settings.ports[name.replace("-", "_")]
            if not port_is_free(port):
                raise StackError(
                    f"port {port}, which this stack uses for {name}, is taken by another process",
                    next_step=f"end that process (`ss -ltnp 'sport = :{port}'` names it), "
                    f"or remove {self.directory} to begin anew on other ports",
                )
            part.prepare(site, keeper)
            _rotate(site.log(name))
            keeper.spawn(name, part.command(site), site.log(name))

        def missing() -> str | None:
            state = keeper.states()[name]
            if not state.alive:
                raise StackError(
                    f"{name} ended with status {state.exit} instead of serving; "
                    f"the end of {site.log(name)}:\n{tail(site.log(name))}"
                )
            return part.missing(site)

        try:
            wait_for(f"{name} to serve", missing, part.start_seconds)
        except StackError as error:
            if "the end of" in error.message:
                raise
            raise StackError(
                f"{error.message}; the end of {site.log(name)}:\n{tail(site.log(name))}"
            ) from error
        self._progress(f"{name:10} {'was up' if already else 'up'} after {time.monotonic() - start:.1f} s")

    def _gone(self, keeper: KeeperClient, name: str) -> None:
        def alive() -> str | None:
            return f"process {keeper.states()[name].pid} lives on" if keeper.states()[name].alive else None

        try:
            wait_for(f"{name} to end", alive, _STOP_SECONDS)
        except StackError:
            keeper.signal(name, signal.SIGKILL)
            wait_for(f"{name} to end after SIGKILL", alive, _GONE_SECONDS)


def _with_needs(names: Iterable[str]) -> list[str]:
    wanted: list[str] = []
    for name in names:
        if name not in PARTS:
            raise StackError(f"there is no part {name!r}", next_step=f"parts are: {', '.join(PARTS)}")
        for needed in (*_with_needs(PARTS[name].needs), name):
            if needed not in wanted:
                wanted.append(needed)
    return wanted


def _in_parallel(jobs: list[tuple[str, Callable[[str], None]]]) -> None:
    pool = ThreadPoolExecutor(max_workers=max(1, len(jobs)))
    try:
        futures: list[Future[None]] = [pool.submit(work, name) for name, work in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    finally:
        # No waiting: after a failure the others are still polling for parts that the keeper is about to kill.
        pool.shutdown(wait=False, cancel_futures=True)


def _rotate(log: Path) -> None:
    if log.exists():
        log.replace(log.with_suffix(".1.log"))
