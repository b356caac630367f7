"""The configured destinations that a restore may read, opened and known to belong together."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.config import Config
from replicator.errors import ConfigError, RefusedError, ReplicatorError
from replicator.restore.segments.sources import Sources
from replicator.storage import ObjectStore, RetryPolicy, StorageError, open_store
from replicator.verify import marks
from replicator.verify.marks import Mark, MarkDamagedError

_PATIENCE_S = 15.0


def open_sources(config: Config, names: Sequence[str]) -> Sources:
    """The configured destinations of these names, opened and known to be this installation's.

    Of several, one that doesn't answer or whose mark is damaged is left out. `RefusedError` for another
    installation's or another Kafka cluster's, `StorageError` when none answers, `ConfigError` without a name.
    """
    if not names:
        raise ConfigError("No destination is configured to restore from.")
    # Where others can stand in, nobody waits a minute for one that is down.
    policy = RetryPolicy(deadline_s=_PATIENCE_S) if len(names) > 1 else RetryPolicy()
    stores: list[tuple[str, ObjectStore]] = []
    left_out: dict[str, ReplicatorError] = {}
    clusters: dict[str, str] = {}
    try:
        for name in names:
            try:
                opened = open_store(config.destination(name), policy)
                stores.append((name, opened))
                mark = marks.find(opened)
            except (StorageError, MarkDamagedError) as error:
                left_out[name] = error
                continue
            # Without one it is an older sink's, or a copy of the segments alone: their names say the rest.
            if mark is not None:
                _check_mark(config.installation, name, mark)
                clusters[name] = mark.cluster_id
        if len(set(clusters.values())) > 1:
            told = ", ".join(f"{name} of {cluster}" for name, cluster in clusters.items())
            raise RefusedError(
                f"The destinations hold offsets of different Kafka clusters: {told}.",
                next_step="choose those of one cluster with --from",
            )
        if len(left_out) == len(names):
            raise next(iter(left_out.values()))
    except BaseException:
        for _, store in stores:
            store.close()
        raise
    sources = Sources(stores, next(iter(clusters.values()), None))
    for name, why in left_out.items():
        sources.leave_out(name, why)
    return sources


def _check_mark(installation: str, name: str, mark: Mark) -> None:
    if mark.installation != installation:
        raise RefusedError(
            f"The destination {name} belongs to the installation {mark.installation!r}; this configuration "
            f"is {installation!r}'s.",
            next_step="check --config and the destination's bucket and prefix",
        )
