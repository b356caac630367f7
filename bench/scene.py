"""A captured database under steady traffic, a sink for each of three clouds, and one that goes away."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

from bench import cpu
from bench.lanes import Delay, Kind, Span
from demo import acts, clouds, coverage, evidence, history, site
from demo.processes import Program, Sink
from demo.progress import Progress
from demo.site import DemoError, Site
from deploy.local.errors import StackError
from deploy.local.stack import Stack
from replicator import config
from replicator.segment.name import CHANGES, SegmentName
from replicator.storage import open_store

How = Literal["refusing", "frozen"]
DEAD = "azure"
"""The cloud that goes away: its sink has most to lose, the stand-in being the slowest of the three."""
_TICK_S = 0.5
_READY_S = 120.0
_SETTLE_S = 30.0
"""Of traffic before anything is measured: plans, caches and connections are warm then."""


@dataclass(slots=True)
class Scene:
    """The processes, and what was seen of them."""

    stack: Stack
    site: Site
    progress: Progress
    sinks: list[Sink]
    traffic: Program
    spans: list[Span] = field(default_factory=list)
    caught_up_s: list[float] = field(default_factory=list)
    durable: dict[str, dict[evidence.Place, datetime]] = field(
        default_factory=lambda: {name: {} for name in clouds.ALL}
    )

    @classmethod
    @contextmanager
    def staged(cls, stack: Stack, folder: Path, *, rows: int, rate: float) -> Iterator[Scene]:
        """Capture a database with a history, start the sinks and the traffic; all ends with the block."""
        place = site.prepare(folder, stack.endpoints)
        _make_all_active(place, stack)
        with ExitStack() as cleanup:
            cleanup.callback(_remove, place)
            history.build(place.source, rows, 1)
            place.run("source", "install")
            place.run("connect", "apply", "--yes")
            place.run("doctor", "--canary-deadline", "150", deadline_s=240.0)
            sinks = []
            for cloud in clouds.ALL:
                sinks.append(Sink(place, cloud, cloud))
                cleanup.callback(sinks[-1].end)
            progress = Progress(place)
            command = (sys.executable, "-m", "demo.traffic", "--dsn", place.source, "--rate", str(rate))
            traffic = Program("traffic", [*command, "--workers", "2"], place.logs / "traffic.log")
            cleanup.callback(traffic.end)
            scene = cls(stack, place, progress, sinks, traffic)
            scene.until_durable()
            scene._watch(_SETTLE_S)
            yield scene

    def calm(self, seconds: float) -> None:
        """Let the traffic flow while all clouds are well."""
        self._span("after" if self.caught_up_s else "before", lambda: self._watch(seconds))

    def outage(self, seconds: float, how: How) -> None:
        """Take the cloud away for so long, give it back, and wait until it has caught up."""
        pid = self.stack.pid(DEAD)
        if how == "refusing":
            # Politely: killed, this stand-in forgets what it acknowledged last, which no cloud does.
            self.stack.stop(DEAD)
        else:
            os.kill(pid, signal.SIGSTOP)
        back: Callable[[], None] = partial(os.kill, pid, signal.SIGCONT)
        if how == "refusing":
            back = partial(self.stack.start, DEAD)
        try:
            self._span("during", lambda: self._watch(seconds))
        except BaseException:
            back()
            raise
        began = time.monotonic()
        self._span("catching up", lambda: self._catch_up(back, _READY_S + seconds))
        self.caught_up_s.append(time.monotonic() - began)

    def _catch_up(self, back: Callable[[], None], deadline_s: float) -> None:
        owed = self.progress.ends()
        back()
        self._until(deadline_s, partial(self._behind, owed, (DEAD,)))

    def end_traffic(self) -> dict[str, Any]:
        """End it, and have all that it committed durable everywhere; its own summary."""
        self.traffic.end()
        self.traffic.check()
        self.until_durable()
        found: dict[str, Any] = json.loads(self.traffic.log.read_text().splitlines()[-1])
        return found

    def until_durable(self) -> None:
        """Wait until every cloud has what is committed in PostgreSQL now; `DemoError` if it takes long."""
        self._until(_READY_S, partial(self._behind, self.progress.ends_after_now(_READY_S)))
        self.read_logs()

    def read_logs(self) -> None:
        """Take in which segments the sinks have reported, and when; `DemoError` when one has failed."""
        for sink in self.sinks:
            durable = self.durable[sink.destination]
            for each in sink.stored():
                durable.setdefault((each.topic, each.partition, each.first, each.next), each.at)
            sink.check()

    def _span(self, kind: Kind, course: Callable[[], None]) -> None:
        pids = {sink.destination: sink.process.pid for sink in self.sinks}
        begin, before = datetime.now(UTC), cpu.Reading.of(pids)
        course()
        after = cpu.Reading.of(pids)
        seconds = after.at - before.at
        shares = {name: (after.processes[name] - used) / seconds for name, used in before.processes.items()}
        shares["machine"] = (after.machine - before.machine) / seconds
        rounded = {name: round(share, 2) for name, share in shares.items()}
        self.spans.append(Span(kind, begin, datetime.now(UTC), rounded))

    def _behind(self, ends: dict[tuple[str, int], int], of: tuple[str, ...] = clouds.ALL) -> str | None:
        lacks = {name: left for name in of if (left := self.progress.behind(name, ends))}
        return f"records that aren't durable yet: {lacks}" if lacks else None

    def _watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._look()
            time.sleep(min(_TICK_S, left_s))

    def _until(self, deadline_s: float, missing: Callable[[], str | None]) -> None:
        end = time.monotonic() + deadline_s
        while (lack := missing()) is not None:
            if time.monotonic() > end:
                raise DemoError(f"Waited {deadline_s:.0f} s: {lack}.")
            self._look()
            time.sleep(_TICK_S)

    def _look(self) -> None:
        self.read_logs()
        self.traffic.check()


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in one destination: rows lost or there twice, and offsets that no segment holds."""

    changes: int
    segments: int
    lost: int
    twice: int
    holes: int
    delays: list[Delay]


def settled(scene: Scene) -> dict[str, Found]:
    """Each bucket read back and counted, verified and compared; `DemoError` for any damage."""
    at_rest = acts.rest(scene.site)
    scene.until_durable()
    settings = config.load(scene.site.config)
    found = {}
    for name in clouds.ALL:
        scene.site.run("verify", name, "--committed")
        # Before the listing: heartbeats go on, and what is committed by now is durable.
        committed = scene.progress.committed(name)
        store = open_store(settings.destination(name))
        try:
            names = [each for info in store.list(CHANGES) if (each := SegmentName.parse(info.key))]
        finally:
            store.close()
        holes = coverage.gap({}, committed, names)
        with TemporaryDirectory(dir=scene.site.directory) as scratch:
            seen = evidence.collect(settings, name, scene.durable[name], Path(scratch), at_rest.lsn)
        twice = seen.duplicated + seen.stored_twice
        found[name] = Found(seen.changes, seen.segments, seen.lost, twice, holes, seen.delays)
    for name in clouds.ALL[1:]:
        scene.site.run("compare", clouds.ALL[0], name)
    return found


def _make_all_active(place: Site, stack: Stack) -> None:
    """Three destinations that take every change, and no doorman before Azure."""
    document = yaml.safe_load(place.config.read_text())
    document["destinations"]["gcs"]["role"] = "active"
    azure = urlsplit(stack.endpoints.azure.account_url)
    document["destinations"][DEAD]["account_url"] = azure.geturl()
    document["source"]["partitions"] = 1
    place.config.write_text(yaml.safe_dump(document, sort_keys=False))


def _remove(place: Site) -> None:
    """The connector and its slot go, where the stack goes on without us."""
    with suppress(DemoError, StackError):
        place.run("connect", "remove", "--purge", "--yes")
