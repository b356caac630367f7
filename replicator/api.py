"""The Python API: a restore, and yesterday's tables as Arrow, without the command line.

`replicator.restore` and `replicator.open_catalog` are these; they are imported when they are first used.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlsplit

from replicator import config
from replicator.bases import stored
from replicator.config import Config
from replicator.errors import ConfigError
from replicator.restore import opening, possible, service
from replicator.restore.errors import BeforeBaseError
from replicator.restore.export.reading import Moment
from replicator.restore.moment import bases, cut
from replicator.restore.moment.cut import Latest, Target, ToMark, ToXid
from replicator.restore.opening import Limits, Opened
from replicator.restore.possible import Possible
from replicator.restore.report import Progress, Report
from replicator.restore.selection import Owner, Selection
from replicator.storage import open_store
from replicator.verify import marks

__all__ = ["Catalog", "Moment", "Report", "open_catalog", "restore"]

_DESTINATION = "catalog"


def restore(
    source: Config | str | Path,
    *,
    target: str,
    to_time: datetime | str | None = None,
    to_lsn: str | None = None,
    to_xid: int | None = None,
    to_mark: str | None = None,
    latest: bool = False,
    destinations: Sequence[str] | None = None,
    tables: Collection[str] = (),
    schemas: Collection[str] = (),
    owners: Collection[str] = (),
    force_clean: bool = False,
    memory_mb: int = 512,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Report:
    """Rebuild the database as of one moment in the empty database `target` (a DSN), and prove it.

    `source` is as for `open_catalog`. Name exactly one moment; `to_time` needs a time zone. `tables`,
    `schemas` and `owners` (keys of `restore.root_table`, the weddings) choose a part. Every error is a
    `replicator.errors.ReplicatorError`: `RefusedError` when an exact result isn't possible, `IntegrityError`
    when stored data contradicts itself, `ConfigError` for arguments that can't be; each with a `next_step`.
    """
    settings = _settings(source)
    wanted = cut.parse(_iso(to_time), to_lsn, to_xid, latest, to_mark)
    by = settings.restore
    owner = Owner(by.root_table, by.root_column, tuple(map(str, owners))) if owners else None
    return service.run(
        settings,
        list(destinations or settings.destinations),
        wanted,
        target,
        force_clean=force_clean,
        selection=Selection(tuple(tables), tuple(schemas), owner),
        limits=Limits(memory_mb * 2**20, jobs),
        progress=progress,
    )


def open_catalog(
    source: Config | str | Path,
    *,
    destinations: Sequence[str] | None = None,
    schemas: Sequence[str] = ("public",),
    memory_mb: int = 512,
) -> Catalog:
    """A catalog of all moments that destinations hold; close it, or use it in a `with`.

    `source` is a configuration, the path of one, or the address of one destination:
    `s3://bucket/prefix?region=…&endpoint_url=…`, `gs://bucket/prefix`, `az://account/container/prefix`,
    `file:///directory`, with further settings of that kind of destination as query; credentials are found
    as the provider's own tools find them. An address says nothing of which schemas are captured: `schemas`.
    Of several `destinations` the first is read, and the others where it has holes or fails.
    """
    settings = _settings(source, schemas)
    return Catalog(settings, list(destinations or settings.destinations), Limits(memory_mb * 2**20))


class Catalog:
    """What destinations hold; for one thread at a time.

    It begins with their newest base, as a restore does; they are listed again for a moment before that.
    """

    def __init__(self, settings: Config, destinations: Sequence[str], limits: Limits) -> None:
        self._settings = settings
        self._destinations = destinations
        self._limits = limits
        self._stack = ExitStack()
        self._opened: list[Opened] = []
        self._open(Latest())

    def at(self, moment: datetime | str) -> Moment:
        """The database at a time, by PostgreSQL's rule: everything before the first commit later than that.

        A string is ISO 8601; both need a time zone. `RefusedError` for a moment that can't be had, naming
        those that can.
        """
        return self._moment(cut.parse(_iso(moment), None, None, False))

    def at_lsn(self, lsn: str) -> Moment:
        """With every transaction whose commit record ends at or before the LSN."""
        return self._moment(cut.parse(None, lsn, None, False))

    def at_xid(self, xid: int) -> Moment:
        """With every transaction up to this one, itself included."""
        return self._moment(ToXid(xid))

    def at_mark(self, name: str) -> Moment:
        """At what `SELECT replicator.mark(name)` named at the source, itself included."""
        return self._moment(ToMark(name))

    def latest(self) -> Moment:
        """As far as the destinations are complete."""
        return self._moment(Latest())

    @property
    def possible(self) -> Possible:
        """The oldest and the newest moment, and the marks between them."""
        whole = next((each for each in self._opened if each.planner.base is None), None) or self._open(None)
        return possible.of(" and ".join(self._destinations), whole)

    def close(self) -> None:
        """Release connections and remove what was fetched; its moments can't be read any more."""
        self._stack.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _moment(self, target: Target) -> Moment:
        for opened in self._opened:
            base = opened.planner.base
            if base is None or bases.usable(target, base):
                try:
                    return self._planned(opened, target)
                except BeforeBaseError:
                    continue
        return self._planned(self._open(target), target)

    def _planned(self, opened: Opened, target: Target) -> Moment:
        return Moment(opened, opening.planned_for(opened, target), self._limits.memory_bytes)

    def _open(self, target: Target | None) -> Opened:
        opened = self._stack.enter_context(
            opening.opened(self._settings, self._destinations, self._limits, target)
        )
        self._opened.append(opened)
        return opened


def _settings(source: Config | str | Path, schemas: Sequence[str] = ("public",)) -> Config:
    if isinstance(source, Config):
        return source
    if isinstance(source, str) and "://" in source:
        return _of_address(source, schemas)
    return config.load(Path(source))


def _of_address(address: str, schemas: Sequence[str]) -> Config:
    """A configuration that only reads this one destination; whose it is, its own mark says."""
    parts = urlsplit(address)
    path = unquote(parts.path)
    match parts.scheme:
        case "file":
            place = {"type": "file", "path": path}
        case "s3":
            place = {"type": "s3", "bucket": parts.netloc, "prefix": path.strip("/")}
        case "gs":
            place = {"type": "gcs", "bucket": parts.netloc, "prefix": path.strip("/")}
        case "b2":
            place = {"type": "b2", "bucket": parts.netloc, "prefix": path.strip("/")}
        case "az":
            container, _, prefix = path.strip("/").partition("/")
            url = f"https://{parts.netloc}.blob.core.windows.net"
            place = {"type": "azure", "account_url": url, "container": container, "prefix": prefix}
        case other:
            raise ConfigError(
                f"{other}:// is no kind of destination; file, s3, gs, az and b2 are.",
                next_step="name the path of a replicator.yaml for what an address can't say",
            )
    place |= dict(parse_qsl(parts.query))
    # Nothing but the destination is reached by what reads it.
    unused = {
        "kafka": {"bootstrap_servers": "unused"},
        "registry": {"url": "http://unused"},
        "source": {"dsn": "unused", "schemas": list(schemas)},
    }

    def made(installation: str, name: str = _DESTINATION) -> Config:
        try:
            return Config.model_validate(
                {"installation": installation, "destinations": {name: place}, **unused}
            )
        except ValueError as error:
            raise ConfigError(f"{address}: {error}") from None

    store = open_store(made("unknown").destination(_DESTINATION))
    try:
        mark = marks.find(store)
        # Its bases are believed under the name alone that it has at home, and only they say it.
        name = stored.name_of(store) or _DESTINATION
    finally:
        store.close()
    if mark is None:
        raise ConfigError(
            f"{address} has no mark that says whose it is.",
            next_step="check bucket and prefix; or open it by the path of its replicator.yaml",
        )
    return made(mark.installation, name)


def _iso(moment: datetime | str | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
