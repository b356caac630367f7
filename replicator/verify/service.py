"""A verification from the listing to the report."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from replicator.config import Config, FileDestination
from replicator.parallel import parallel
from replicator.progress import Progress as BareProgress
from replicator.progress import Silent
from replicator.segment.name import Chain
from replicator.segment.pieces import Piece
from replicator.segment.ranges import Ranges
from replicator.storage import ErrorKind, ObjectStore, StorageError, open_store
from replicator.verify import folded, holdings
from replicator.verify.findings import Finding, Kind
from replicator.verify.holdings import MARK, ROOT, Held, Holdings
from replicator.verify.inspection import Depth, Inspected, Inspector
from replicator.verify.journal import Journal
from replicator.verify.report import Report

__all__ = ["Depth", "Options", "Progress", "inspector_of", "run", "verify"]


class Progress(BareProgress, Protocol):
    """Who wants to know how far a verification is."""

    def found(self, finding: Finding) -> None:
        """Something is wrong."""
        ...


class _Silent(Silent):
    def found(self, finding: Finding) -> None:
        """Ignored."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to verify. `sample` is the per cent of segments that are read when `depth` reads any.

    Which ones are in a sample is decided by their names and the `seed`, today's date (UTC) where none is
    given: another seed, another sample. `state`
    names the file by which an ended run goes on. At most `threads` segments are in memory.
    """

    depth: Depth = Depth.NAMES
    sample: float | None = None
    seed: str = ""
    threads: int = 0
    state: Path | None = None

    @property
    def workers(self) -> int:
        """How many segments are looked at at once."""
        return self.threads or min(16, 2 * (os.cpu_count() or 2))


def run(
    config: Config,
    destination: str,
    options: Options = Options(),
    *,
    expected: Mapping[Chain, int] | None = None,
    letters: Mapping[Chain, Ranges] | None = None,
    begins: Mapping[Chain, int] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verify a configured destination; see `verify`. `ConfigError` when there is none of that name."""
    place = config.destination(destination)
    store = open_store(place)
    try:
        return verify(
            store,
            destination,
            options,
            inspector=inspector_of(config, destination, store),
            expected=expected,
            letters=letters,
            begins=begins,
            progress=progress,
        )
    finally:
        store.close()


def inspector_of(config: Config, destination: str, store: ObjectStore) -> Inspector:
    """The inspector that fits a configured destination."""
    place = config.destination(destination)
    return Inspector(
        store,
        keeps_checksums=not isinstance(place, FileDestination),
        storage_class=getattr(place, "storage_class", None),
    )


def verify(
    store: ObjectStore,
    destination: str,
    options: Options = Options(),
    *,
    inspector: Inspector | None = None,
    expected: Mapping[Chain, int] | None = None,
    letters: Mapping[Chain, Ranges] | None = None,
    begins: Mapping[Chain, int] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Look at everything that a destination holds; what is wrong is in the report, never raised.

    `expected` gives offsets below which a chain must be whole (from a restore point, or a group's commits);
    `letters` the ranges of dead letters, `begins` where chains begin because a base stands for what was
    before. `StorageError` when the destination doesn't answer: that says
    nothing about what it holds. `ConfigError` for a state file that can't be used.
    """
    progress = progress or _Silent()
    inspector = inspector or Inspector(store)
    if options.sample is not None and not options.seed:
        options = replace(options, seed=time.strftime("%Y-%m-%d", time.gmtime()))
    began = time.monotonic()
    found = holdings.read(store.list(ROOT))
    report = Report(
        destination,
        options.depth.value,
        options.sample,
        chains=len(found.segments),
        segments=len(found.all) + len(found.folded),
        size=sum(held.size for held in (*found.all, *found.folded)),
        overlapping=found.overlapping,
    )
    for finding in (
        *_check_mark(store, found),
        *holdings.lacking(found, expected, letters, begins),
        *holdings.strange(found),
        *folded.lacking(store, found, destination),
    ):
        report.findings.append(finding)
        progress.found(finding)
    about = {
        "destination": destination,
        "depth": options.depth.value,
        "sample": options.sample,
        "seed": options.seed,
    }
    with Journal(options.state, about) if options.state else nullcontext() as journal:
        _inspect_all(inspector, found, options, journal, report, progress)
        if journal is not None:
            journal.finish()
    report.seconds = time.monotonic() - began
    return report


def _inspect_all(
    inspector: Inspector,
    found: Holdings,
    options: Options,
    journal: Journal | None,
    report: Report,
    progress: Progress,
) -> None:
    done = journal.done if journal is not None else set()
    every = (*found.all, *found.folded)
    left = [held for held in every if held.name.key() not in done]
    report.resumed = len(every) - len(left)
    progress.begin(len(left), sum(held.size for held in left))
    for inspected in _inspections(inspector, left, options):
        held = inspected.held
        report.inspected += 1
        report.read += inspected.size
        for finding in inspected.findings:
            if _is_rolled_up(finding, held, found):
                continue
            report.findings.append(finding)
            progress.found(finding)
        report.left_out += [
            {"key": held.name.key(), "first": gap.first, "next": gap.next, "reason": gap.reason}
            for gap in inspected.left_out
        ]
        if journal is not None and not inspected.findings and not inspected.left_out:
            journal.add(held.name.key())
        progress.advance(1, held.size)


def _is_rolled_up(finding: Finding, held: Held, found: Holdings) -> bool:
    """Whether the segment went while this verification ran, and others that were listed hold all it held."""
    if finding.kind is not Kind.MISSING or held.name.base is not None:
        return False
    return bool(found.instead_of(Piece(held.name, held.size, held.name.first, held.name.next)))


def _inspections(inspector: Inspector, segments: Iterable[Held], options: Options) -> Iterator[Inspected]:
    """The results in the order in which they come; no more than the workers' number are under way."""

    def inspect(held: Held) -> Inspected:
        return inspector.inspect(held, options.depth if in_sample(held, options) else Depth.NAMES)

    return parallel("verify", inspect, segments, options.workers)


def in_sample(held: Held, options: Options) -> bool:
    """Whether a segment belongs to the sample; the same answer for the same seed, on any machine."""
    if options.sample is None:
        return True
    digest = hashlib.sha256(f"{options.seed}/{held.name.key()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < options.sample / 100 * 2**64


def _check_mark(store: ObjectStore, found: Holdings) -> list[Finding]:
    if MARK not in found.others:
        if not found.segments:
            return []
        return [Finding(Kind.MISSING, "the mark says whose destination this is; there is none", MARK)]
    try:
        facts = json.loads(store.get(MARK))
        whole = all(isinstance(facts[name], str) for name in ("installation", "cluster_id"))
    except StorageError as error:
        if error.kind in (ErrorKind.AUTH, ErrorKind.FATAL, ErrorKind.CORRUPT):
            return [Finding(Kind.UNREADABLE, error.message, MARK)]
        raise
    except (ValueError, KeyError, TypeError):
        whole = False
    return [] if whole else [Finding(Kind.ALTERED, "it doesn't hold what a sink writes there", MARK)]
