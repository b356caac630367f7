"""The sources of a restore opened, with what they say, and the plan that is made of it."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from replicator.bases import Manifest
from replicator.config import Config
from replicator.errors import RefusedError
from replicator.points import Keys
from replicator.restore.errors import HoleError, NotYetError
from replicator.restore.moment import bases, cut, history, promise
from replicator.restore.moment.cut import Target
from replicator.restore.moment.promise import Promises
from replicator.restore.plan import Plan, Planner
from replicator.restore.segments.catalog import Catalog
from replicator.restore.segments.configured import open_sources
from replicator.restore.segments.fetch import Fetcher
from replicator.restore.segments.sources import Sources
from replicator.restore.selection import EVERYTHING, Selection

EngineName: TypeAlias = Literal["local", "datafusion", "spark"]
"""What folds the rows: this machine's own loop, or the SQL of `spread.fold_sql`, here or on Spark."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a restore may use: bytes for the keys of a fold, connections to the target, and where it may
    write; whether it waits for the planner's statistics, whether its certificate has the tables' digests, and
    whether it begins with a base where there is one; which engine folds the rows, and where Spark runs.
    """

    memory_bytes: int = 512 * 2**20
    jobs: int = 2
    scratch: Path | None = None
    fetch_threads: int = field(default=6)
    analyze: bool = False
    digests: bool = False
    use_bases: bool = True
    engine: EngineName = "local"
    spark_master: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The sources and what they say, from the base on that a restore to the target begins with."""

    planner: Planner
    history: history.History
    fetcher: Fetcher
    sources: Sources
    catalog: Catalog
    promises: Promises
    warnings: tuple[str, ...] = ()
    floor: Manifest | None = None
    """See `bases.Beginning`."""


@contextmanager
def opened(
    config: Config, source: str | Sequence[str], limits: Limits, to: Target | None
) -> Iterator[Opened]:
    """Open the sources, find the base that the target can begin with, and read the history from
    there; None is as early as possible. Raises as `history.read` and `open_sources` do.
    """
    names = [source] if isinstance(source, str) else list(dict.fromkeys(source))
    sources = open_sources(config, names)
    folder = tempfile.mkdtemp(prefix="replicator-restore-", dir=limits.scratch)
    fetcher = Fetcher(sources, Path(folder), limits.fetch_threads)
    try:
        keys = Keys(config.control)
        promises, found = promise.read_and_list(sources, keys, config.installation, time.time())
        if not found.chains:
            told_names = " and ".join(map(repr, names))
            raise RefusedError(
                f"The destination {told_names} holds no segments.",
                next_step=f"`replicator sink {names[0]}` fills it; or name another one with --from",
            )
        there = bases.find(sources.answering()) if limits.use_bases else bases.Bases()
        beginning = bases.read(
            sources,
            there,
            to,
            keys,
            config.installation,
            bases.reader(fetcher, found, config.installation),
        )
        found = bases.since(found, beginning.base)
        captured = Captured(config)
        planner = Planner(fetcher, found, config.installation, ", ".join(names), captured, beginning.base)
        warnings = tuple(there.warnings)
        yield Opened(planner, beginning.history, fetcher, sources, found, promises, warnings, beginning.floor)
    finally:
        fetcher.close()
        sources.close()
        shutil.rmtree(folder, ignore_errors=True)


class Captured:
    """Whether a table's rows are captured, by the configuration of the source."""

    def __init__(self, config: Config) -> None:
        self._schemas = frozenset(config.source.schemas)
        self._excluded = [re.compile(pattern) for pattern in config.source.exclude_tables]

    def __call__(self, schema: str, table: str) -> bool:
        """Whether the table of that schema is."""
        name = f"{schema}.{table}"
        return schema in self._schemas and not any(each.fullmatch(name) for each in self._excluded)


def planned_for(found: Opened, to: Target, selection: Selection = EVERYTHING) -> Plan:
    """The plan, held to what the sources' restore points promise."""
    told = found.history
    try:
        made = found.planner.plan(told, to, selection)
    except NotYetError:
        # To wait would be the wrong advice for what was there once.
        reached = cut.describe(len(told.commits), told.commits, told.point)
        promise.check_reached(found.promises, reached, found.catalog)
        raise
    except HoleError as error:
        # A segment of transactions that begins before the floor and ends after it is still there: the cut is
        # found, and what is missing are the rows.
        if found.floor is None:
            raise
        raise bases.removed(to, found.floor) from error
    held = promise.held_to(found.promises, to, made.cut, found.catalog)
    return replace(made, promises=replace(held, warnings=(*held.warnings, *found.warnings)))
