"""The certificate of a restore, made of its plan, its report and what its sources gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replicator import __version__
from replicator.certificate import Certificate, ChainRange, Digest, ReadObject, TableProof
from replicator.compare import capture
from replicator.errors import IntegrityError
from replicator.restore.plan import Plan
from replicator.restore.report import Report
from replicator.restore.segments.catalog import Catalog, ChainPieces, Piece
from replicator.restore.segments.sources import Sources
from replicator.restore.target.database import Connection

_WHOLE_TOPICS = ("transaction", "notification", "replicator.ddl_log", "replicator.sequence_log")
_PROVED = (
    "base",
    "transactions",
    "events",
    "snapshot_rows",
    "definitions_compared",
    "ddl_replayed",
    "sequences",
    "unproven",
    "not_captured",
    "left_out",
    "selection",
    "went_with_tables",
    "replaced",
    "point_warnings",
)


def make(
    plan: Plan,
    catalog: Catalog,
    sources: Sources,
    report: Report,
    connection: Connection,
    times_ms: tuple[int, int],
    digests: Sequence[Digest],
) -> Certificate:
    """What the restore is certified to be; `times_ms` are its beginning and its end.

    `IntegrityError` when the objects that were read don't give every offset that the plan needs: then the
    restore is no result either.
    """
    told, evidence = report.as_json(), sources.evidence()
    # A base's segments leave out what is superseded, so no range tells whether all of them were read.
    unread = {piece.name for table in plan.tables for piece in table.base} - {name for name, _, _ in evidence}
    if unread:
        raise IntegrityError(
            f"The restore didn't read {min(unread).key()} of the base that it began with: it isn't proven.",
            next_step="restore again, with --no-base, and report it: this must not happen",
        )
    made = Certificate(
        installation=plan.installation,
        cluster_id=sources.cluster_id,
        begun_ms=times_ms[0],
        made_ms=times_ms[1],
        target=plan.target,
        cut=plan.cut.as_json(),
        objects=(
            *_manifests(plan, sources),
            *(
                ReadObject(
                    name.key(),
                    whole.source,
                    whole.size,
                    whole.sha256,
                    tuple((span.first, span.next) for span in taken),
                )
                for name, whole, taken in evidence
            ),
        ),
        chains=tuple(_needed(plan, catalog)),
        tables=tuple(
            TableProof(one.table, one.rows, one.events, one.snapshot_rows)
            for one in sorted(report.tables, key=lambda one: one.table)
        ),
        proof={name: told[name] for name in _PROVED},
        software={
            "replicator": __version__,
            "postgresql": connection.info.parameter_status("server_version") or "",
        },
        restore_point=told["restore_point"],
        digests=tuple(digests),
    )
    lacking = made.lacking()
    if lacking:
        needed, lost = lacking[0]
        raise IntegrityError(
            f"The restore read no object that holds offsets {lost} of {needed}, and needs them: it isn't "
            "proven.",
            next_step="restore again, and report it: this must not happen",
        )
    return made


def digests(dsn: str, jobs: int) -> list[Digest]:
    """Each table's digest, computed by the target's server; a partitioned table's by partition."""
    found = capture(dsn, workers=jobs).tables
    return [Digest(name, table.rows, table.digest) for name, table in found.items()]


def _manifests(plan: Plan, sources: Sources) -> Iterable[ReadObject]:
    """The object that says what the base is, of a restore that began with one."""
    if plan.base is not None:
        whole = sources.objects[plan.base.key]
        yield ReadObject(plan.base.key, whole.source, whole.size, whole.sha256)


def _needed(plan: Plan, catalog: Catalog) -> Iterable[ChainRange]:
    """Every chain's offsets that the result depends on."""
    for name in _WHOLE_TOPICS:
        for chain in catalog.topic(f"{plan.installation}.{name}"):
            yield from _range(chain, chain.pieces)
    for table in plan.tables:
        for edge in table.edges:
            yield from _range(edge.chain, edge.pieces)


def _range(chain: ChainPieces, pieces: tuple[Piece, ...]) -> Iterable[ChainRange]:
    if pieces:
        where = chain.chain
        yield ChainRange(where.topic, where.topic_id, where.partition, pieces[0].start, pieces[-1].stop)
