"""Making one destination complete from another: what failover does to a standby."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from replicator.parallel import parallel
from replicator.repair import copying
from replicator.repair.copying import SourceDamagedError
from replicator.repair.plan import Lost, cover, missing
from replicator.segment.name import Chain, SegmentName
from replicator.segment.ranges import Ranges
from replicator.storage import ObjectStore
from replicator.verify import holdings, marks
from replicator.verify.holdings import MARK, ROOT, Holdings

_T = TypeVar("_T")
_R = TypeVar("_R")
_SCHEMAS = f"{ROOT}schemas/"


@dataclass(slots=True)
class Copied:
    """What was copied. `lost` are offsets that were wanted and that the source couldn't give whole."""

    segments: int = 0
    size: int = 0
    """Bytes of segments."""
    others: int = 0
    """Mark and schemas."""
    lost: list[Lost] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """Segments of the source that can't be used, and why."""

    @property
    def complete(self) -> bool:
        """Whether the target now holds all that was wanted."""
        return not self.lost


def copy_missing(
    source: ObjectStore,
    target: ObjectStore,
    wanted: Mapping[Chain, Ranges] | None = None,
    *,
    threads: int = 4,
    copied: Callable[[SegmentName, int], None] | None = None,
) -> Copied:
    """Copy to `target` what it lacks of `source`: within `wanted`, or everything.

    Whole segments are copied, each verified on its way; overlaps harm nobody. The installation's mark comes
    first, schemas next, so that a sink that begins meanwhile finds its place. `copied` is told of each
    segment and its bytes, by any thread. May be ended and called again at any time.

    `ConfigError` when the two belong to different installations, `StorageError` when one doesn't answer. A
    source that lacks some of what is wanted isn't an error: what it has is copied; ask another for the rest.
    """
    marks.same("the source", source, "the target", target)
    have, holds = holdings.read(source.list(ROOT)), holdings.read(target.list(ROOT))
    result = Copied(others=copy_others(source, have, target, holds))
    unusable: set[tuple[str, SegmentName]] = set()
    done: set[SegmentName] = set()
    while True:
        sources = [("source", have)]
        chosen = []
        result.lost = []
        for chain, lacks in missing(have, holds, wanted).items():
            copies, left = cover(chain, lacks, sources, unusable)
            chosen += [copy for copy in copies if copy.held.name not in done]
            result.lost += [Lost(chain, first, stop) for first, stop in left]

        def bring(name: SegmentName) -> tuple[SegmentName, int | SourceDamagedError]:
            try:
                return name, copying.segment(source, target, name)
            except SourceDamagedError as error:
                return name, error

        failed = False
        for name, outcome in parallel("copy", bring, (copy.held.name for copy in chosen), threads):
            if isinstance(outcome, SourceDamagedError):
                unusable.add(("source", name))
                result.damaged.append(outcome.message)
                failed = True
                continue
            done.add(name)
            result.segments += 1
            result.size += outcome
            if copied is not None:
                copied(name, outcome)
        if not failed:
            return result


def copy_others(source: ObjectStore, have: Holdings, target: ObjectStore, holds: Holdings) -> int:
    """Copy the mark and the schemas that the target lacks; how many objects."""
    wanted = [key for key in have.others if key == MARK or key.startswith(_SCHEMAS)]
    lacking = sorted(set(wanted) - set(holds.others), key=lambda key: (key != MARK, key))
    for key in lacking:
        copying.plain(source, target, key)
    return len(lacking)
