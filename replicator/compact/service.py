"""A compaction from beginning to end: plan, fold, copy, read back and prove, and last of all the manifest."""

from __future__ import annotations

import time
from contextlib import ExitStack

from replicator.bases import BaseChain, BaseMark, BaseTable, Manifest, SequenceValue, stored
from replicator.bases.manifest import base_id
from replicator.bases.stored import Signs
from replicator.compact.read_back import ReadBack
from replicator.compact.report import Report
from replicator.compact.table import Folder, merged
from replicator.config import Config, Control
from replicator.debezium import names
from replicator.debezium.transactions import SNAPSHOT, Commit
from replicator.errors import ConfigError
from replicator.points import Signer
from replicator.restore import kernels, opening
from replicator.restore.moment import marked
from replicator.restore.moment.cut import Cut, Target
from replicator.restore.moment.events import MARKS, OUR_LOGS
from replicator.restore.moment.history import History, Topics
from replicator.restore.opening import Limits, Opened
from replicator.restore.plan import Plan
from replicator.restore.report import Progress, Silent
from replicator.storage import ObjectStore, PutResult, open_store

_DDL, _SEQUENCES = OUR_LOGS
_HEARTBEAT = "replicator.heartbeat"


def run(
    config: Config,
    destination: str,
    to: Target,
    limits: Limits | None = None,
    progress: Progress | None = None,
    *,
    dry_run: bool = False,
) -> Report:
    """Fold what the destination holds up to the target into a base, prove it, and only then say it is there.

    It begins with the newest base before the target, so it costs what happened since. With `dry_run` nothing
    is stored. Raises what a restore to the target raises; `IntegrityError` when the base that was stored
    isn't what the chains come to. A run that was ended leaves objects without a manifest: the next one to the
    same cut finds them, and retention removes them otherwise.
    """
    progress, limits = progress or Silent(), limits or Limits()
    begun = time.monotonic()
    if not dry_run and not kernels.are_kept():
        progress.phase("compiling the decoder, once on this machine")
        kernels.load()
    signer = _signer(config.control)
    progress.phase("reading the history")
    with ExitStack() as stack:
        found = stack.enter_context(opening.opened(config, destination, limits, to))
        plan = opening.planned_for(found, to)
        before = plan.base
        report = Report(destination, plan.cut, None if before is None else before.id)
        report.warnings = plan.promises.warnings
        store = open_store(config.destination(destination))
        stack.callback(store.close)
        if before is not None and before.commit == plan.cut.number:
            report.base, report.made_from = before, before.made_from
        elif dry_run:
            report.read = sum(table.size for table in plan.tables)
        else:
            _make(config, found, plan, store, signer, limits, report, progress)
    report.seconds = time.monotonic() - begun
    return report


def _make(
    config: Config,
    found: Opened,
    plan: Plan,
    store: ObjectStore,
    signer: Signs,
    limits: Limits,
    report: Report,
    progress: Progress,
) -> None:
    base = base_id(plan.cut.lsn, plan.cut.number)
    tables: list[BaseTable] = []
    chains: list[BaseChain] = []

    def put(key: str, body: bytes, sha256: str) -> None:
        if store.put(key, body, sha256=sha256) is PutResult.EXISTED:
            report.found_stored += 1
        else:
            report.written += len(body)

    identities = {names.collection(name): name for name in plan.schema.definitions}
    with ReadBack(report.destination, store, limits) as back:
        folder = Folder(found.planner, plan, found.fetcher, back, put, limits.memory_bytes)
        wanted = sorted(plan.tables, key=lambda table: -table.size)
        progress.phase("folding")
        progress.tables(sum(table.size for table in wanted))
        for table in wanted:
            identity = identities[table.collection]
            folded = folder.fold(table, base, identity)
            tables.append(folded.table)
            chains += folded.chains
            report.read += folded.read
            if not folded.by_row and folded.table.records:
                report.by_event.append(table.collection)
            progress.loaded(table.collection, folded.table.records, table.size)
        chains += folder.fold(found.planner.log(plan, _DDL), base, _DDL).chains
        for collection in (_SEQUENCES, _HEARTBEAT, MARKS):
            chains += folder.stops(found.planner.log(plan, collection))
    chains += _transactions(config, found, plan)
    manifest = _manifest(config, found, plan, tables, chains, report)
    stored.publish(store, manifest, signer)
    report.base, report.made = manifest, True


def _transactions(config: Config, found: Opened, plan: Plan) -> list[BaseChain]:
    """Where the transaction topic goes on behind the cut; nothing of it is kept."""
    commits, last = plan.history.commits, plan.cut.number
    made = []
    for held in found.catalog.topic(f"{config.installation}.transaction"):
        stop = commits.offset_behind(last) if last >= commits.first else held.begin
        chain = held.chain
        made.append(BaseChain(chain.topic, chain.topic_id, chain.partition, stop, "", ()))
    return made


def _manifest(
    config: Config,
    found: Opened,
    plan: Plan,
    tables: list[BaseTable],
    chains: list[BaseChain],
    report: Report,
) -> Manifest:
    history, before, last = plan.history, plan.base, plan.cut.number
    newest: dict[str, SequenceValue] = {}
    for row in sorted(history.sequences, key=lambda each: (each.commit, each.id)):
        if row.commit <= last:
            value = row.value
            newest[row.name] = SequenceValue(row.name, row.commit, row.id, value.last_value, value.is_called)
    marks: tuple[BaseMark, ...] | None = None
    if before is None or before.marks is not None:
        topics = Topics(found.fetcher, found.catalog, config.installation, before)
        marks = tuple(
            BaseMark(mark.name, mark.number, mark.xid, mark.lsn, mark.micros)
            for mark in marked.read(topics, history.commits, before, last)
        )
    earlier = history.point.micros if before is None else before.latest_micros
    return Manifest(
        installation=config.installation,
        cluster_id=found.sources.cluster_id or "",
        destination=report.destination,
        commit=last,
        lsn=plan.cut.lsn,
        micros=plan.cut.micros,
        latest_micros=max(earlier, history.commits.latest_ms(last) * 1000),
        made_ms=int(time.time() * 1000),
        made_from=None if before is None else before.id,
        snapshot_lsn=history.point.lsn,
        snapshot_micros=history.point.micros,
        snapshot_completed_ms=history.snapshot.completed_ms,
        attempts=history.snapshot.attempts,
        scanned=history.snapshot.scanned if before is None else before.scanned,
        commits=_still_needed(history, plan.cut),
        sequences=tuple(newest.values()),
        tables=tuple(tables),
        chains=merged(chains),
        marks=marks,
        began=None if marks is None else _began(history, before, last),
    )


def _began(history: History, before: Manifest | None, last: int) -> dict[str, int]:
    """The first commit with events of each table, up to the last."""
    commits = history.commits
    found = {name: commits.touching(name)[0] for name in commits.collections()}
    found = {name: first for name, first in found.items() if first <= last}
    return found | dict((before and before.began) or {})


def _still_needed(history: History, cut: Cut) -> tuple[Commit, ...]:
    """The commits that readers of the base still tell from others: the cut, the DDL log's, and the ones
    before."""
    numbers = {cut.number}
    for row in history.ddl:
        if row.commit <= cut.number:
            numbers |= {row.commit, row.commit - 1}
    return tuple(history.commits[number] for number in sorted(numbers) if number > SNAPSHOT)


class _Nobody:
    def signature(self, context: bytes, body: bytes) -> None:
        """Nothing is signed."""


def _signer(settings: Control) -> Signs:
    """Control's key where there is one; without any key, nobody signs and nobody asks for a signature."""
    if settings.signing_key is not None:
        return Signer(settings)
    if settings.public_keys and not settings.unsigned:
        raise ConfigError(
            "control.public_keys says that only what is signed is believed, and control.signing_key isn't "
            "set: no restore would begin with this base.",
            next_step="run it where control's signing key is, or add `signing_key: ${file:FILE}`",
        )
    return _Nobody()
