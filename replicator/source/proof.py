"""Which connector configurations have carried the canary.

Recorded in the source, and beside each destination's data: a sink asks `passed` before it writes. One
that was proven must be able to start on the day when the source is down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from psycopg.types.json import Json

from replicator.config import Config
from replicator.errors import RefusedError, ReplicatorError, SourceError
from replicator.source.canary import Verdict
from replicator.source.connect_api import Connect, ConnectError
from replicator.source.connector import connector_name
from replicator.source.database import Connection, connect
from replicator.storage import ErrorKind, ObjectStore, StorageError, open_plain

ACCEPT_FLAG = "--accept-unproven-values"
ACCEPT_HELP = (
    "Write without a passed canary. NULL may then be stored as a column's DEFAULT, and values of some types "
    "changed, with no error to tell: what is restored may differ from the source."
)

_WITHOUT_BEARING = (
    "name",
    "database.",
    "topic.creation.",
    "producer.override.",
    "heartbeat.",
    "max.",
    "poll.",
    "retriable.",
    "slot.",
    "snapshot.fetch.size",
    "snapshot.select.",
    "snapshot.include.",
    "table.",
    "schema.include.list",
    "message.key.columns",
)
"""Beginnings of settings that have no bearing on how a value arrives."""


class UnprovenValuesError(RefusedError):
    """No canary has passed with the connector's present configuration."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A canary's recorded outcome."""

    config_hash: str
    passed: bool
    at: str
    detail: Mapping[str, object]


def config_hash(connector: Mapping[str, str]) -> str:
    """A name for all of the connector's configuration that decides how values arrive; 64 hex digits."""
    bearing = {k: v for k, v in connector.items() if not k.startswith(_WITHOUT_BEARING)}
    return hashlib.sha256(json.dumps(bearing, sort_keys=True).encode()).hexdigest()


def record(config: Config, connector: Mapping[str, str], verdict: Verdict) -> list[str]:
    """Record the outcome in the source and in every destination; returns what wasn't written, in words.

    `SourceError` when the source can't be written: there is no proof then.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    proof = Proof(config_hash(connector), verdict.passed, now, _detail(verdict))
    with connect(config.source.dsn.get_secret_value()) as connection:
        connection.execute(
            "INSERT INTO replicator.canary_result (config_hash, passed, detail) VALUES (%s, %s, %s)",
            (proof.config_hash, proof.passed, Json(dict(proof.detail))),
        )
    body = json.dumps(asdict(proof)).encode()
    missing = []
    for name, destination in config.destinations.items():
        try:
            store = open_plain(destination)
            try:
                store.put(_key(config), body, sha256=hashlib.sha256(body).hexdigest(), if_absent=False)
            finally:
                store.close()
        except StorageError as error:
            missing.append(f"{name} has no copy of the canary's outcome: {error.message}")
    return missing


def passed(config: Config) -> Proof:
    """The proof that the connector's present configuration carries the canary.

    One call to Connect and one query; when the source is down, the copies in the destinations are asked.
    Without a connector, or while Connect is down, the newest canary of any configuration counts. Raises
    `UnprovenValuesError` when there is no proof or the canary failed, `SourceError` when nobody can be asked.
    """
    try:
        connector = Connect.of(config).config(connector_name(config))
        # Without a connector there are only the records of the last one, which the last canary went through.
        wanted = None if connector is None else config_hash(connector)
    except ConnectError:
        wanted = None
    try:
        with connect(config.source.dsn.get_secret_value()) as connection:
            proof = latest(connection, wanted)
    except SourceError:
        proof = _from_destinations(config, wanted)
    if proof is None:
        raise _unproven(config, "no canary has been sent with its present configuration")
    if not proof.passed:
        nulls = proof.detail.get("changed_nulls")
        raise _unproven(config, f"its canary failed on {proof.at}: {nulls}")
    return proof


def latest(connection: Connection, wanted: str | None) -> Proof | None:
    """The newest outcome for that configuration, for any when it is None; None when there is none."""
    present = connection.execute("SELECT to_regclass('replicator.canary_result')").fetchone()
    if present is None or present[0] is None:
        return None
    row = connection.execute(
        "SELECT config_hash, passed, at::text, detail FROM replicator.canary_result "
        "WHERE config_hash = coalesce(%s::text, config_hash) ORDER BY id DESC LIMIT 1",
        (wanted,),
    ).fetchone()
    return None if row is None else Proof(str(row[0]), bool(row[1]), str(row[2]), dict(row[3]))


def _from_destinations(config: Config, wanted: str | None) -> Proof | None:
    asked: list[str] = []
    for name, destination in config.destinations.items():
        try:
            store: ObjectStore = open_plain(destination)
            try:
                proof = Proof(**json.loads(store.get(_key(config))))
            finally:
                store.close()
        except StorageError as error:
            asked.append(f"{name}: {'no copy' if error.kind is ErrorKind.NOT_FOUND else error.message}")
            continue
        if wanted in (None, proof.config_hash):
            return proof
    if asked:
        raise SourceError(
            "Whether a canary passed can't be found out: the source can't be reached, nor a copy: "
            + "; ".join(asked),
            next_step=f"bring the source back, or start with {ACCEPT_FLAG}",
        )
    return None


def _detail(verdict: Verdict) -> dict[str, object]:
    return {
        "changed_nulls": list(verdict.changed_nulls),
        "seconds": round(verdict.seconds, 3),
        "types": {kind.declared: kind.passes for kind in verdict.types},
        "schemas": {
            str(number): hashlib.sha256(text.encode()).hexdigest() for number, text in verdict.schemas.items()
        },
    }


def _key(config: Config) -> str:
    return f"v1/canary/{config.installation}.json"


def _unproven(config: Config, reason: str) -> ReplicatorError:
    return UnprovenValuesError(
        f"The connector {connector_name(config)} isn't proven to keep values as they are: {reason}. "
        "With a converter that turns NULL into a column's DEFAULT, wrong values would be stored silently.",
        next_step=f"`replicator doctor` sends the canary; {ACCEPT_FLAG} goes on without",
    )
