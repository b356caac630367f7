"""Two destinations compared, from their listings to a report."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from replicator.config import Config
from replicator.progress import Progress, Silent
from replicator.segment.name import Chain
from replicator.segment.ranges import Span
from replicator.storage import ObjectStore, open_store
from replicator.verify import difference, holdings, marks
from replicator.verify.difference import ChainDifference, Difference
from replicator.verify.holdings import ROOT, Holdings


@dataclass(slots=True)
class PairReport:
    """How two destinations differ. Counts are of offsets, `size` is of bytes before compression."""

    first: str
    second: str
    deep: bool
    chains: int = 0
    same_name: int = 0
    cut_differently: int = 0
    size: int = 0
    seconds: float = 0.0
    lag: list[tuple[str, Chain, Span]] = field(default_factory=list)
    """Who is behind, in which chain, by which offsets."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs but how far each has got; without `deep`, as far as names tell."""
        return not self.differences

    def behind(self, name: str) -> int:
        """By how many offsets that destination is behind the other."""
        return sum(span.next - span.first for who, _, span in self.lag if who == name)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "first": self.first,
            "second": self.second,
            "equal": self.equal,
            "deep": self.deep,
            "chains": self.chains,
            "offsets_same_name": self.same_name,
            "offsets_cut_differently": self.cut_differently,
            "bytes_compared": self.size,
            "seconds": round(self.seconds, 3),
            "behind": {name: self.behind(name) for name in (self.first, self.second)},
            "lag": [
                {
                    "destination": who,
                    "topic": chain.topic,
                    "partition": chain.partition,
                    "first": span.first,
                    "next": span.next,
                }
                for who, chain, span in self.lag
            ],
            "differences": [each.as_json() for each in self.differences],
        }


def run(
    config: Config,
    first: str,
    second: str,
    *,
    deep: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
) -> PairReport:
    """Compare two configured destinations; see `compare`."""
    stores = [open_store(config.destination(name)) for name in (first, second)]
    try:
        return compare(first, stores[0], second, stores[1], deep=deep, threads=threads, progress=progress)
    finally:
        for store in stores:
            store.close()


def compare(
    first: str,
    first_store: ObjectStore,
    second: str,
    second_store: ObjectStore,
    *,
    deep: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
) -> PairReport:
    """How two destinations differ, range by range; with `deep` also the records that both hold.

    `ConfigError` when they belong to different installations, `StorageError` when one doesn't answer.
    """
    began = time.monotonic()
    progress = progress or Silent()
    marks.same(first, first_store, second, second_store)
    held = (holdings.read(first_store.list(ROOT)), holdings.read(second_store.list(ROOT)))
    report = PairReport(first, second, deep)
    chains = difference.by_ranges(*held)
    for one in chains:
        report.chains += 1
        report.same_name += one.same_name
        report.cut_differently += one.cut_differently.count
        report.differences += one.differences
        report.lag += [((first, second)[one.behind - 1], one.chain, span) for span in one.ahead]
    if deep:
        _read((first_store, second_store), held, chains, threads, report, progress)
    report.differences.sort(key=lambda each: (each.chain, each.first))
    report.seconds = time.monotonic() - began
    return report


def _read(
    stores: tuple[ObjectStore, ObjectStore],
    held: tuple[Holdings, Holdings],
    chains: list[ChainDifference],
    threads: int,
    report: PairReport,
    progress: Progress,
) -> None:
    wanted = difference.spans_to_read(chains)
    sizes = [sum(_size(each, chain, span) for each in held) for chain, span in wanted]
    progress.begin(len(wanted), sum(sizes))
    with ThreadPoolExecutor(threads or 2 * (os.cpu_count() or 2), "compare") as pool:
        running = {
            pool.submit(difference.by_records, stores, held, chain, span): size
            for (chain, span), size in zip(wanted, sizes, strict=True)
        }
        try:
            for each in as_completed(running):
                found, size = each.result()
                report.differences += found
                report.size += size
                progress.advance(1, running[each])
        finally:
            pool.shutdown(cancel_futures=True)


def _size(held: Holdings, chain: Chain, span: Span) -> int:
    pieces = held.pieces(chain).pieces
    return sum(piece.size for piece in pieces if piece.start < span.next and span.first < piece.stop)
