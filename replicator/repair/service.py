"""A repair from the findings to a destination that is whole again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from replicator.config import Config
from replicator.errors import ConfigError
from replicator.parallel import parallel
from replicator.points import beginnings
from replicator.progress import Progress as BareProgress
from replicator.progress import Silent
from replicator.repair import copying
from replicator.repair.copying import Aside, SourceDamagedError
from replicator.repair.missing import copy_others
from replicator.repair.plan import Copy, Plan, Remove, Replace, Rewrite, Step, plan, unlike
from replicator.repair.report import RepairReport
from replicator.segment.name import Chain, SegmentName
from replicator.storage import ObjectStore, open_store
from replicator.verify import Finding, Kind, holdings, marks
from replicator.verify.holdings import MARK, ROOT, Holdings


class Progress(BareProgress, Protocol):
    """Who wants to know how far a repair is."""

    def say(self, text: str) -> None:
        """One step, or what went wrong with one."""
        ...


class _Silent(Silent):
    def say(self, text: str) -> None:
        """Ignored."""


def run(
    config: Config,
    destination: str,
    sources: Sequence[str],
    findings: Sequence[Finding],
    *,
    complete: bool = False,
    dry_run: bool = False,
    threads: int = 4,
    progress: Progress | None = None,
) -> RepairReport:
    """Repair a configured destination from others; see `repair`."""
    if not sources or destination in sources:
        raise ConfigError(
            f"{destination} can only be repaired from other destinations.",
            next_step="name one or more with --from",
        )
    names = [destination, *sources]
    stores = {name: open_store(config.destination(name)) for name in dict.fromkeys(names)}
    try:
        return repair(
            destination,
            stores[destination],
            [(name, stores[name]) for name in sources],
            findings,
            complete=complete,
            dry_run=dry_run,
            threads=threads,
            begins=beginnings.of_store(config, stores[destination], destination),
            progress=progress,
        )
    finally:
        for store in stores.values():
            store.close()


def repair(
    destination: str,
    target: ObjectStore,
    sources: Sequence[tuple[str, ObjectStore]],
    findings: Sequence[Finding],
    *,
    complete: bool = False,
    dry_run: bool = False,
    threads: int = 4,
    begins: Mapping[Chain, int] | None = None,
    progress: Progress | None = None,
) -> RepairReport:
    """Mend what a verification found, from the sources in the order of preference.

    Whatever a source has and the destination lacks is copied too, but for what comes behind the end of a
    chain: its own sink will bring that; with `complete` it is copied as well. What is damaged is looked at
    again before it is touched, and kept below `v1/damaged/`; the destination never has less than before, so
    this may be ended and called again at any time. What no source has is in the report. `begins` says where
    chains begin because a base stands for what was before; that isn't copied back.

    `ConfigError` when a source belongs to another installation, `StorageError` when a destination doesn't
    answer.
    """
    began = time.monotonic()
    for name, store in sources:
        marks.same(destination, target, name, store)
    one = _Repair(
        target, dict(sources), RepairReport(destination, [name for name, _ in sources], dry_run), begins
    )
    one.run(findings, complete, threads, progress or _Silent())
    one.report.seconds = time.monotonic() - began
    return one.report


class _Repair:
    def __init__(
        self,
        target: ObjectStore,
        sources: dict[str, ObjectStore],
        report: RepairReport,
        begins: Mapping[Chain, int] | None,
    ) -> None:
        self._begins = begins
        self._target = target
        self._sources = sources
        self.report = report

    def run(self, findings: Sequence[Finding], complete: bool, threads: int, progress: Progress) -> None:
        report = self.report
        have = [(name, holdings.read(store.list(ROOT))) for name, store in self._sources.items()]
        unusable: set[tuple[str, SegmentName]] = set()
        done: set[SegmentName] = set()
        held = holdings.read(self._target.list(ROOT))
        findings = [*findings, *unlike(held, have, complete=complete, begins=self._begins)]
        if not report.dry_run:
            self._mend_others(findings, held, have)
        while True:
            left = [each for each in findings if _name(each) not in done]
            made = plan(held, left, have, unusable)
            report.lost = list(made.lost)
            if report.dry_run:
                report.steps = [str(step) for step in made.steps]
                report.size = made.size
                return
            progress.begin(len(made.steps), made.size)
            if not self._perform(made, threads, unusable, done, progress):
                return
            held = holdings.read(self._target.list(ROOT))

    def _perform(
        self,
        made: Plan,
        threads: int,
        unusable: set[tuple[str, SegmentName]],
        done: set[SegmentName],
        progress: Progress,
    ) -> bool:
        """Do the steps; whether a source turned out to be damaged, so that another plan is needed."""
        writing = [step for step in made.steps if not isinstance(step, Remove)]
        again = False
        for step, outcome in parallel("copy", self._try, writing, threads):
            name = step.held.name
            if isinstance(outcome, SourceDamagedError):
                if isinstance(step, Rewrite):
                    self.report.failed.append(outcome.message)
                else:
                    unusable.add((step.source, name))
                    self.report.damaged_sources.append(f"{step.source}: {outcome.message}")
                    again = True
                progress.say(f"{step}: {outcome.message}")
                continue
            self._count(step, outcome)
            done.add(name)
            self.report.steps.append(str(step))
            progress.say(str(step))
            progress.advance(1, step.held.size)
        if again:
            return True
        for removal in made.steps:
            if isinstance(removal, Remove):
                self._remove(removal)
                self.report.steps.append(str(removal))
                progress.say(str(removal))
                progress.advance(1, 0)
        return False

    def _try(
        self, step: Copy | Replace | Rewrite
    ) -> tuple[Copy | Replace | Rewrite, int | SourceDamagedError]:
        try:
            return step, self._write(step)
        except SourceDamagedError as error:
            return step, error

    def _write(self, step: Copy | Replace | Rewrite) -> int:
        """Bytes written; 0 when there was nothing to do any more."""
        name = step.held.name
        if isinstance(step, Rewrite):
            return copying.again(self._target, name)
        source = self._sources[step.source]
        if isinstance(step, Replace):
            if copying.aside(self._target, name.key(), name.sha256_16) is Aside.SOUND:
                return 0
            return copying.segment(source, self._target, name, over=True)
        return copying.segment(source, self._target, name)

    def _remove(self, step: Remove) -> None:
        key = step.held.name.key()
        if copying.aside(self._target, key, step.held.name.sha256_16) is Aside.SOUND:
            self.report.sound += 1
            return
        self._target.delete(key)
        self.report.removed += 1

    def _count(self, step: Step, size: int) -> None:
        report = self.report
        report.size += size
        if isinstance(step, Rewrite):
            report.rewritten += 1
        elif isinstance(step, Replace) and size == 0:
            report.sound += 1
        elif isinstance(step, Copy | Replace):
            report.copied += isinstance(step, Copy)
            report.replaced += isinstance(step, Replace)
            report.by_source[step.source] = report.by_source.get(step.source, 0) + 1

    def _mend_others(
        self, findings: Sequence[Finding], held: Holdings, have: Sequence[tuple[str, Holdings]]
    ) -> None:
        if any(each.key == MARK and each.kind is not Kind.MISSING for each in findings):
            copying.aside(self._target, MARK, None)
            source = next((store for store in self._sources.values() if marks.is_sound(store)), None)
            if source is None:
                self.report.failed.append(f"{MARK} is damaged, and no source has a sound one")
            else:
                copying.plain(source, self._target, MARK, over=True)
                self.report.others += 1
        for name, holds in have:
            self.report.others += copy_others(self._sources[name], holds, self._target, held)
            held = holdings.read(self._target.list(ROOT)) if len(have) > 1 else held


def _name(finding: Finding) -> SegmentName | None:
    return SegmentName.parse(finding.key) if finding.key is not None else None
